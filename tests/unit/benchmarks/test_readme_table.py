"""The figures of the README and of the pages about results and thresholds are those of the recorded evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from aiface_evaluation.records.results import Evaluation
from benchmarks.page import Section
from benchmarks.readme_table import EVALUATION, README, RESULTS, THRESHOLD, alarms, headline, tables


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return Evaluation.from_json(json.loads(EVALUATION.read_text(encoding="utf-8")), EVALUATION.name)


@pytest.mark.parametrize(
    ("section", "made"),
    [(README, headline), (RESULTS, tables), (THRESHOLD, alarms)],
    ids=["readme", "results", "threshold"],
)
def test_the_page_says_what_was_recorded(
    section: Section, made: Callable[[Evaluation], str], evaluation: Evaluation
) -> None:
    before, after = section.surroundings()
    assert section.page.read_text(encoding="utf-8") == before + made(evaluation) + after


def test_the_figures_are_those_of_the_split_and_condition(evaluation: Evaluation) -> None:
    generated = evaluation.splits["test"].conditions["clean"].kinds["generated"]
    for text in (headline(evaluation), tables(evaluation)):
        assert f"| {generated.n} | {generated.auc:.3f} |" in text
    assert len(headline(evaluation).splitlines()) == 5  # three rows


def test_alarms_follow_bayes_rule(evaluation: Evaluation) -> None:
    """Counted over a hundred thousand photos rather than by the formula."""
    clean = evaluation.splits["test"].conditions["clean"]
    point, called = clean.overall.points["balanced"], clean.kinds["generated"].verdicts["balanced"].ai
    real, fake = 90_000, 10_000
    right, wrong = round(fake * called), round(real * point.fpr)
    (row,) = [line for line in alarms(evaluation).splitlines() if line.startswith("| balanced | 10% |")]
    assert row.split(" | ")[2:4] == [f"{(right + wrong) / 100:.0f}", f"{right / (right + wrong):.0%}"]

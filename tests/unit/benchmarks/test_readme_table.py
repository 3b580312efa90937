"""The README's tables are those of the recorded evaluation."""

from __future__ import annotations

import json

from aiface_evaluation.records.results import Evaluation
from benchmarks.readme_table import EVALUATION, README, tables


def test_the_readme_says_what_was_recorded() -> None:
    evaluation = Evaluation.from_json(json.loads(EVALUATION.read_text(encoding="utf-8")), EVALUATION.name)
    before, after = README.surroundings()
    assert README.page.read_text(encoding="utf-8") == before + tables(evaluation) + after
    generated = evaluation.splits["test"].conditions["clean"].kinds["generated"]
    assert f"| {generated.n} | {generated.auc:.3f} |" in tables(evaluation)

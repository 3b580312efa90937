"""The figures that models are compared by: counts by hand, and what a record of an earlier version still gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aiface_evaluation.condition_metrics import condition_result
from aiface_evaluation.dataset import Sample, read_samples
from aiface_evaluation.markdown import headline_table
from aiface_evaluation.metrics import share_interval
from aiface_evaluation.records.headline import Estimate, Headline, headline
from aiface_evaluation.records.results import ConditionResult, Evaluation
from aiface_runtime.manifest import OperatingPoint

ROOT = Path(__file__).resolve().parents[4]
POINTS = {"balanced": OperatingPoint(0.25, 0.75)}


@pytest.fixture(scope="module")
def result() -> ConditionResult:
    """Real photos of two large sources and a small one, AI ones of two kinds, in two deliveries."""
    photos = [
        *[("real", "portraits", "", "", "1", 0.1)] * 38,
        *[("real", "portraits", "", "", "1", 0.8)] * 2,
        *[("real", "snapshots", "", "", "2", 0.2)] * 30,
        *[("real", "few", "", "", "3", 0.9)] * 2,
        *[("ai", "a", "A", "generated", "1", 0.85)] * 4,
        *[("ai", "b", "B", "generated", "2", 0.15)] * 3,
        ("ai", "b", "B", "generated", "2", 0.95),
        *[("ai", "s", "S", "swap", "1", 0.3)] * 5,
    ]
    samples = [
        Sample(Path("x"), label, source, generator, "test", kind=kind, delivery=delivery)
        for label, source, generator, kind, delivery, _ in photos
    ]
    return condition_result(samples, np.array([photo[-1] for photo in photos]), POINTS)


def test_figures_against_hand_counts(result: ConditionResult) -> None:
    figures = headline(result)
    assert list(figures.rows) == ["generated", "generated, delivery 1", "generated, delivery 2", "swap"]
    generated, first, second, swaps = figures.rows.values()
    assert [(row.n_real, row.n_ai) for row in figures.rows.values()] == [(72, 8), (40, 4), (30, 4), (72, 5)]
    assert generated.tpr_at_1_fpr.value == 1 / 8, "the two of 0.9 set the threshold"
    assert generated.generators_tpr_at_1_fpr is not None
    assert generated.generators_tpr_at_1_fpr.value == (0 + 1 / 4) / 2
    assert first.tpr_at_1_fpr.value == first.auc.value == 1.0, "the two of 0.9 came with another delivery"
    assert second.auc.value == 1 / 4
    assert (first.real_called_ai.value, second.real_called_ai.value) == (2 / 40, 0.0)
    assert generated.real_called_ai == Estimate(value=4 / 72, interval=share_interval(4, 72))
    assert generated.ai_called_ai == Estimate(value=5 / 8, interval=share_interval(5, 8))
    assert swaps.ai_called_ai.value == 0.0
    assert all(row.auc.interval and row.tpr_at_1_fpr.interval for row in figures.rows.values())


def test_the_worst_real_source_has_photos_enough(result: ConditionResult) -> None:
    worst = headline(result).worst_source
    assert worst is not None
    assert (worst.name, worst.n, worst.called_ai) == (
        "portraits",
        40,
        Estimate(value=2 / 40, interval=share_interval(2, 40)),
    )
    assert "| clean | portraits | 40 | 5.0% [0.6%, 16.9%] |" in headline_table({"clean": {"": headline(result)}})


def test_it_is_read_again(result: ConditionResult) -> None:
    figures = headline(result)
    assert Headline.from_json(json.loads(json.dumps(figures.to_json()))) == figures
    assert headline(ConditionResult.from_json(json.loads(json.dumps(result.to_json())))) == figures


def test_the_recorded_evaluation_of_an_earlier_version_gives_what_it_has() -> None:
    file = ROOT / "docs/model/evaluation.json"
    result = Evaluation.from_json(json.loads(file.read_text(encoding="utf-8"))).splits["test"].conditions["clean"]
    figures = headline(result)
    assert next(iter(figures.rows)) == "generated"
    assert figures.rows["generated"].auc.value == result.kinds["generated"].auc
    assert figures.worst_source is not None
    assert all(
        group.verdicts["balanced"].ai <= figures.worst_source.called_ai.value
        for group in result.sources.values()
        if group.label == "real" and group.n >= 30
    )


def test_deliveries_are_read_from_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label,delivery\na.jpg,real,2\nb.jpg,ai,\n")
    assert [sample.delivery for sample in read_samples(tmp_path)] == ["2", ""]

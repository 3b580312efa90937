"""Two models' verdicts on the same photos, against counts by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiface_evaluation.comparison.disagreement import disagreements
from aiface_evaluation.dataset import Sample
from aiface_evaluation.metrics import share_interval
from aiface_evaluation.records.headline import Estimate
from aiface_runtime.manifest import OperatingPoint

POINTS = (OperatingPoint(0.3, 0.7), OperatingPoint(0.4, 0.9))
KINDS = ("", "", "", "", "generated", "generated", "swap", "swap")


@pytest.fixture
def samples() -> list[Sample]:
    return [Sample(Path("x"), "ai" if kind else "real", "s", kind=kind) for kind in KINDS]


def test_each_model_is_judged_at_its_own_thresholds(samples: list[Sample]) -> None:
    first = np.array([0.1, 0.75, 0.1, 0.35, 0.8, 0.1, 0.9, 0.1])  # real ai real uncertain, ai real, ai real
    second = np.array([0.95, 0.35, 0.1, 0.35, 0.3, 0.95, 0.8, 0.2])  # ai real real real, real ai, uncertain real
    groups = disagreements(samples, (first, second), POINTS)
    assert list(groups) == ["all", "real", "generated", "swap"]
    assert [part.n for part in groups.values()] == [8, 4, 2, 2]
    assert groups["all"].verdicts == {
        "ai": {"ai": 0, "uncertain": 1, "real": 2},
        "uncertain": {"ai": 0, "uncertain": 0, "real": 1},
        "real": {"ai": 2, "uncertain": 0, "real": 2},
    }
    assert groups["all"].opposite == Estimate(value=4 / 8, interval=share_interval(4, 8))
    assert groups["all"].first_right == Estimate(value=2 / 4, interval=share_interval(2, 4))
    assert groups["real"].first_right == Estimate(value=1 / 2, interval=share_interval(1, 2))
    assert groups["swap"].first_right is None, "they never say the opposite of each other there"


def test_log_odds_are_correlated_even_at_0_and_1(samples: list[Sample]) -> None:
    odds = np.linspace(-3, 3, 8)
    first, second = (1 / (1 + np.exp(-slope * odds - bias)) for slope, bias in ((1, 0), (0.5, 1)))
    assert disagreements(samples, (first, second), POINTS)["all"].correlation == pytest.approx(1.0)
    assert disagreements(samples, (first, 1 - first), POINTS)["all"].correlation == pytest.approx(-1.0)
    certain = (first > 0.5).astype(np.float64)
    correlation = disagreements(samples, (first, certain), POINTS)["all"].correlation
    assert correlation is not None
    assert 0.5 < correlation < 1
    assert disagreements(samples, (first, np.full(8, 0.5)), POINTS)["all"].correlation is None

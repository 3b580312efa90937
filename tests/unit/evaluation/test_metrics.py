"""Metrics, against scikit-learn, SciPy and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score, roc_curve

from aiface_evaluation.metrics import (
    binary_metrics,
    by_quartile,
    generators_tpr_at_fpr,
    intervals,
    roc,
    share_interval,
    threshold_at_fpr,
    tpr_at_fpr,
    verdict_shares,
)
from aiface_evaluation.records.results import VerdictShares
from aiface_runtime.manifest import OperatingPoint


def test_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    target = np.repeat([0, 1], [237, 341])
    p_ai = np.round(np.clip(rng.normal(0.4 + 0.2 * target, 0.2), 0, 1), 2)  # many ties
    metrics = binary_metrics(target, p_ai)
    false, true, _ = roc_curve(target, p_ai, drop_intermediate=False)
    assert metrics.auc == pytest.approx(roc_auc_score(target, p_ai))
    assert metrics.balanced_accuracy == pytest.approx(balanced_accuracy_score(target, p_ai >= 0.5))
    assert metrics.f1 == pytest.approx(f1_score(target, p_ai >= 0.5))
    assert metrics.tpr_at_1_fpr == pytest.approx(true[false <= 0.01].max())
    for rate, tpr in roc(target, p_ai):
        assert tpr == pytest.approx(true[false <= rate + 1e-12].max())


def test_metrics_against_hand_counts() -> None:
    target, p_ai = np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.9, 0.8, 0.3])
    metrics = binary_metrics(target, p_ai)
    assert (metrics.n_real, metrics.n_ai, metrics.tpr_at_1_fpr) == (3, 2, 0.0)
    assert metrics.accuracy == pytest.approx(3 / 5)
    assert metrics.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics.f1 == pytest.approx(0.5)
    assert metrics.auc == pytest.approx(4 / 6)


def test_a_threshold_keeps_the_false_positive_rate() -> None:
    target = np.array([False] * 4 + [True] * 3)  # as training has it
    margin = np.array([-3.0, -1.0, 2.0, 5.0, 1.0, 3.0, 6.0])
    thresholds = [threshold_at_fpr(target, margin, rate) for rate in (0.0, 0.24, 0.25, 0.5, 1.0)]
    assert thresholds == [5.0, 5.0, 2.0, -1.0, -np.inf]
    assert [tpr_at_fpr(target, margin, rate) for rate in (0.0, 0.25, 0.5)] == pytest.approx([1 / 3, 2 / 3, 1.0])
    sixty = np.zeros(60, dtype=int)
    assert threshold_at_fpr(sixty, np.arange(60.0), 0.05) == 56.0, "three of sixty, whatever 0.05 * 60 rounds to"


def test_intervals_hold_the_estimate_and_narrow() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for count in (60, 2000):
        real, ai = (rng.beta(*shape, count) for shape in ((2, 4), (4, 2)))
        target, p_ai = np.repeat([0, 1], count), np.concatenate([real, ai])
        makers = np.array([""] * count + ["a", "b", "b", ""] * (count // 4))
        bounds = intervals(target, p_ai, makers)
        if count == 60:
            assert bounds == intervals(target, p_ai, makers), "the same each time"
        for name, (low, high) in bounds.items():
            if name == "generators_tpr_at_1_fpr":
                assert low <= generators_tpr_at_fpr(target, p_ai, makers, 0.01) <= high
            else:
                assert low <= getattr(binary_metrics(target, p_ai), name) <= high
        widths.append(bounds["auc"][1] - bounds["auc"][0])
    assert 3 < widths[0] / widths[1] < 10, "about the root of how many more photos"
    # DeLong's standard error of AUC; a bootstrap interval is nearly four of them wide.
    shares = (np.searchsorted(np.sort(real), ai) / 2000, 1 - np.searchsorted(np.sort(ai), real) / 2000)
    assert widths[1] == pytest.approx(3.92 * np.sqrt(sum(part.var() / 2000 for part in shares)), rel=0.1)


def test_the_mean_over_generators_weighs_all_alike() -> None:
    target, p_ai = np.array([0, 0, 1, 1, 1, 1, 1]), np.array([0.1, 0.5, 0.9, 0.4, 0.4, 0.4, 0.9])
    of_many, of_one, unknown = ["many"] * 4, ["one"], [""] * 5
    for names, expected in ((of_many + of_one, (0.25 + 1) / 2), ([*of_many, ""], 0.25), (unknown, 0.4)):
        assert generators_tpr_at_fpr(target, p_ai, np.array(["", "", *names]), 0.01) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 10), (10, 10), (300, 1000)])
def test_the_interval_of_a_share(count: int, total: int) -> None:
    low, high = share_interval(count, total)
    assert 0 <= low <= count / total <= high <= 1
    assert high - low > 0.05 if total < 1000 else high - low < 0.07
    if 0 < count < total:
        assert low == pytest.approx(beta.ppf(0.025, count, total - count + 1)), "Clopper & Pearson"


def test_quartiles_against_hand_counts() -> None:
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    target, p_ai = np.array([0, 1, 0, 1, 0, 1, 0, 0]), np.array([0.9, 0.8, 0.1, 0.9, 0.9, 0.2, 0.1, 0.9])
    parts = by_quartile(values, target, p_ai, OperatingPoint(0.5, 0.85))
    assert [(part.low, part.high) for part in parts] == [(1, 2), (3, 4), (5, 6), (7, 8)]
    assert [part.fpr for part in parts] == [1.0, 0.0, 1.0, 0.5]
    assert [part.tpr for part in parts] == [0.0, 1.0, 0.0, None]
    assert [part.auc for part in parts] == [0.0, 1.0, 0.0, None]
    sizes = np.array([256.0, 256, 256, 384, 384, 384, 384, 384])  # two sizes are two parts
    assert [part.n_real for part in by_quartile(sizes, target, p_ai, OperatingPoint(0.5, 0.5))] == [2, 3]


def test_verdicts_of_a_group() -> None:
    shares = verdict_shares(np.array([0.1, 0.25, 0.8, 0.85]), {"balanced": OperatingPoint(0.25, 0.85)})
    assert shares == {"balanced": VerdictShares(ai=0.25, uncertain=0.5, real=0.25)}

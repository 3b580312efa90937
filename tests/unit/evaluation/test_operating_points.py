"""Thresholds: what they promise holds on the photos that they were chosen on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import beta

from aiface_evaluation.dataset import Sample
from aiface_evaluation.names import CONDITION_NAMES as CONDITIONS
from aiface_evaluation.operating_points import operating_points


def _samples(groups: dict[tuple[str, str], int]) -> list[Sample]:
    return [
        Sample(Path(f"{name}{n}"), label, name if label == "real" else "s", name if label == "ai" else "", "val")
        for (label, name), count in groups.items()
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def scored() -> tuple[list[Sample], dict[str, np.ndarray]]:
    """Photos of which one real source looks like AI and one generator real, worse from condition to condition."""
    means = {
        ("real", "plain"): -2.5,
        ("real", "studio"): 0.5,
        ("real", "few"): 3.0,
        ("ai", "easy"): 3.0,
        ("ai", "candid"): -1.0,
    }
    samples = _samples(dict(zip(means, (700, 80, 10, 600, 100), strict=True)))
    centre = np.array([means[s.label, s.source if s.label == "real" else s.generator] for s in samples])
    rng = np.random.default_rng(0)
    scores = {
        condition: expit(rng.normal(centre * shrink, 1.3))
        for condition, shrink in zip(CONDITIONS, (1.0, 0.9, 0.5), strict=True)
    }
    return samples, scores


def test_operating_points_keep_their_bounds(scored: tuple[list[Sample], dict[str, np.ndarray]]) -> None:
    samples, scores = scored
    points = operating_points(scores, samples)
    real = np.array([s.label == "real" for s in samples])
    studio = np.array([s.source == "studio" for s in samples])
    candid = np.array([s.generator == "candid" for s in samples])
    balanced, low_false_alarm, high_recall = (points[name] for name in ("balanced", "low_false_alarm", "high_recall"))

    def called_ai(threshold: float, mask: np.ndarray, condition: str) -> float:
        return float((scores[condition][mask] >= threshold).mean())

    everyday = [(mask, condition) for mask in (real, studio) for condition in ("clean", "web")]
    limits = [0.02, 0.02, 0.05, 0.05]
    bounded = [called_ai(balanced.ai_from, *at) <= limit for at, limit in zip(everyday, limits, strict=True)]
    lower = [called_ai(balanced.ai_from - 2e-5, *at) <= limit for at, limit in zip(everyday, limits, strict=True)]
    assert all(bounded)
    assert not all(lower), "no lower threshold does it"
    assert balanced.real_below <= balanced.ai_from
    for condition in ("clean", "web"):
        assert (scores[condition][~real] < balanced.real_below).mean() <= 0.1
        assert (scores[condition][candid] < balanced.real_below).mean() <= 0.5
    for condition in CONDITIONS:
        called = int((scores[condition][real] >= low_false_alarm.ai_from).sum())
        assert beta.ppf(0.95, called + 1, real.sum() - called) <= 0.01
        assert (scores[condition][~real] < high_recall.real_below).mean() <= 0.05
    assert low_false_alarm.ai_from >= balanced.ai_from
    assert high_recall.real_below == high_recall.ai_from


def test_operating_points_say_what_they_do(scored: tuple[list[Sample], dict[str, np.ndarray]]) -> None:
    samples, scores = scored
    real = np.array([s.label == "real" for s in samples])
    for point in operating_points(scores, samples).values():
        assert point.measured.keys() == set(CONDITIONS)
        for condition, measured in point.measured.items():
            p_ai, low, high = scores[condition], point.real_below, point.ai_from
            assert measured.false_positive_rate == pytest.approx((p_ai[real] >= high).mean())
            assert measured.true_positive_rate == pytest.approx((p_ai[~real] >= high).mean())
            assert measured.uncertain == pytest.approx(((p_ai >= low) & (p_ai < high)).mean())


def test_few_photos_set_no_threshold_of_their_own() -> None:
    """A source of ten photos that are all taken for AI must not set the default; few real photos cannot bound 1 %."""
    samples = _samples({("real", "plain"): 990, ("real", "few"): 10, ("ai", "easy"): 100})
    p_ai = np.concatenate([np.linspace(0.0, 0.3, 990), np.full(10, 0.99), np.linspace(0.6, 1.0, 100)])
    balanced = operating_points({"clean": p_ai}, samples)["balanced"]
    assert balanced.ai_from == 0.5
    assert balanced.real_below == 0.5, "never beyond ai_from"
    half = [sample for n, sample in enumerate(samples) if n % 5 == 0]
    low_false_alarm = operating_points({"clean": p_ai[::5]}, half)["low_false_alarm"]
    assert low_false_alarm.measured["clean"].false_positive_rate == 0.0, "of 200 photos not one"


@pytest.mark.parametrize("max_fpr", [0.001, 0.005, 0.05, 0.3, 0.9])
def test_a_wished_false_positive_rate_holds(max_fpr: float, scored: tuple[list[Sample], dict[str, np.ndarray]]) -> None:
    samples, scores = scored
    real = np.array([s.label == "real" for s in samples])
    studio = np.array([s.source == "studio" for s in samples])
    usual, points = operating_points(scores, samples), operating_points(scores, samples, max_fpr)
    balanced, low_false_alarm = points["balanced"], points["low_false_alarm"]
    for condition in ("clean", "web"):
        assert (scores[condition][real] >= balanced.ai_from).mean() <= max_fpr
        assert (scores[condition][studio] >= balanced.ai_from).mean() <= min(1.0, 2.5 * max_fpr)
        assert balanced.measured[condition].false_positive_rate <= max_fpr
    assert 0.5 <= balanced.ai_from <= low_false_alarm.ai_from <= 1.0
    assert (balanced.ai_from > usual["balanced"].ai_from) == (max_fpr < 0.02)
    if max_fpr < 0.01:
        called = max(int((scores[condition][real] >= low_false_alarm.ai_from).sum()) for condition in CONDITIONS)
        assert called == 0, "790 real photos cannot bound less than 0.4 % unless none is called AI"

"""Fitting probabilities, and what is measured of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from aiface_evaluation.calibration import ai_margin, expected_calibration_error, fit_platt, fit_scaling, reliability


def test_slope_and_bias_are_found_and_calibrate() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(0.0, 3.0, 40_000)
    target = (rng.random(40_000) < expit(margin)).astype(int)
    slope, bias = fit_platt(4.0 * margin + 2.0, target)
    assert slope == pytest.approx(0.25, rel=0.05)
    assert bias == pytest.approx(-0.5, abs=0.05)
    assert expected_calibration_error(expit(slope * (4.0 * margin + 2.0) + bias), target) < 0.02
    assert expected_calibration_error(expit(4.0 * margin + 2.0), target) > 0.05
    ai_subset = np.flatnonzero(target == 1)[::10]  # both labels weigh the same, however many there are of each
    subset = np.concatenate([ai_subset, np.flatnonzero(target == 0)])
    assert fit_platt(margin[subset], target[subset])[1] == pytest.approx(0.0, abs=0.1)
    assert np.isfinite(fit_platt(np.array([-1.0, 1.0]), np.array([0, 1]))).all(), "where labels separate"


def test_reliability_against_hand_counts() -> None:
    p_ai, target = np.array([0.05, 0.15, 0.95, 0.85, 1.0]), np.array([0, 1, 1, 0, 1])
    rows = reliability(p_ai, target, bins=2)
    np.testing.assert_allclose(rows, [[0.1, 0.5, 2], [2.8 / 3, 2 / 3, 3]])
    assert expected_calibration_error(p_ai, target, bins=2) == pytest.approx((0.4 * 2 + (2.8 - 2) / 3 * 3) / 5)


def test_slope_and_bias_of_three_labels() -> None:
    """Two of which mean AI: logits that are too steep and shifted become those that drew the labels."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0.0, 2.0, (30_000, 3))
    p_ai = softmax(logits, axis=1)[:, 1:].sum(axis=1)
    target = (rng.random(30_000) < p_ai).astype(int)
    shown = softmax(2.0 * (logits - [0.0, 0.7, 0.7]), axis=1)
    slope, bias = fit_scaling(lambda temperature: ai_margin(shown, [1, 2], temperature), target)
    assert slope == pytest.approx(0.5, rel=0.05)
    weights = np.bincount(target)  # both labels weigh the same, so the bias also makes up for their number
    assert bias == pytest.approx(0.7 - np.log(weights[1] / weights[0]), abs=0.06)


def test_both_fits_agree_on_two_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0.0, 2.0, (2000, 2))
    target = (rng.random(2000) < expit(0.6 * (logits[:, 1] - logits[:, 0]) - 0.3)).astype(int)
    rows = softmax(logits, axis=1)
    expected = fit_platt(ai_margin(rows, [1]), target)
    assert fit_scaling(lambda temperature: ai_margin(rows, [1], temperature), target) == pytest.approx(
        expected, abs=1e-3
    )

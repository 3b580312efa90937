"""Calibrated probabilities from labelled photos.

The temperature is that of Guo et al., "On Calibration of Modern Neural Networks", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logsumexp

from .types import Scores

_MAX_SLOPE = 20.0  # and its inverse: where labels separate, steeper would always fit better
_MIN_PROBABILITY = float(np.finfo(np.float32).tiny)  # so that its logarithm is a number


def at_temperature(probabilities: ArrayLike, temperature: float) -> Scores:
    """Give probabilities, float64 `[N, C]`, whose logits are divided by the temperature."""
    return np.exp(_log_at(probabilities, temperature))


def _log_at(probabilities: ArrayLike, temperature: float) -> Scores:
    logarithms: Scores = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _MIN_PROBABILITY))
    result: Scores = log_softmax(logarithms / temperature, axis=1)
    return result


def ai_margin(probabilities: ArrayLike, ai: Sequence[int], temperature: float = 1.0) -> Scores:
    """Give the logit of P(AI), float64 `[N]`, from probabilities `[N, C]` whose logits are divided by `temperature`."""
    logarithms = _log_at(probabilities, temperature)
    real = [column for column in range(logarithms.shape[1]) if column not in ai]
    margin: Scores = logsumexp(logarithms[:, ai], axis=1) - logsumexp(logarithms[:, real], axis=1)
    return margin


def fit_temperature(margin_at: Callable[[float], Scores], target: NDArray[np.int_]) -> float:
    """Find the temperature, 0.05 to 20, that minimises the negative log likelihood, both labels weighing the same.

    Args:
        margin_at: Function from a temperature to the logits of P(AI), float64 `[N]`.
        target: int `[N]`, 0 for real, 1 for AI.
    """
    result = minimize_scalar(
        lambda log_temperature: balanced_loss(margin_at(np.exp(log_temperature)), target),
        bounds=np.log([1 / _MAX_SLOPE, _MAX_SLOPE]),
        method="bounded",
    )
    return float(np.exp(result.x))


def fit_platt(margin: Scores, target: NDArray[np.int_]) -> tuple[float, float]:
    """Find slope and bias that minimise the negative log likelihood, both labels weighing the same.

    Platt, "Probabilistic outputs for support vector machines", 1999. The slope is the
    inverse of a temperature; the bias moves P(AI) = 0.5 to where it belongs on photos that the network was not
    trained on.

    Args:
        margin: float64 `[N]`, logit of AI less logit of real.
        target: int `[N]`, 0 for real, 1 for AI.

    Returns:
        Slope, 0.05 to 20, and bias; P(AI) is `sigmoid(slope * margin + bias)`.
    """
    weights = 0.5 / np.bincount(target, minlength=2)[target]

    def loss_and_slope(parameters: Scores) -> tuple[float, Scores]:
        moved = parameters[0] * margin + parameters[1]
        error = weights * (expit(moved) - target)
        return balanced_loss(moved, target), np.array([error @ margin, error.sum()])

    bounds = [(1 / _MAX_SLOPE, _MAX_SLOPE), (None, None)]
    result = minimize(loss_and_slope, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-12)
    return float(result.x[0]), float(result.x[1])


def fit_scaling(margin_at: Callable[[float], Scores], target: NDArray[np.int_]) -> tuple[float, float]:
    """Find slope and bias as `fit_platt` does, of a margin that is no linear function of the slope.

    Args:
        margin_at: Function from a temperature, the inverse of the slope, to the logits of P(AI), float64 `[N]`.
        target: int `[N]`, 0 for real, 1 for AI.

    Returns:
        Slope, 0.05 to 20, and bias; P(AI) is `sigmoid(margin_at(1 / slope) + bias)`.
    """

    def loss(parameters: Scores) -> float:
        return balanced_loss(margin_at(float(np.exp(-parameters[0]))) + parameters[1], target)

    bounds = [(-np.log(_MAX_SLOPE), np.log(_MAX_SLOPE)), (None, None)]
    result = minimize(loss, np.array([0.0, 0.0]), method="L-BFGS-B", bounds=bounds, tol=1e-12)
    return float(np.exp(result.x[0])), float(result.x[1])


def balanced_loss(margin: Scores, target: NDArray[np.int_]) -> float:
    """Give the negative log likelihood, both labels weighing the same."""
    weights = 0.5 / np.bincount(target, minlength=2)[target]
    return float(weights @ np.logaddexp(0.0, np.where(target == 1, -margin, margin)))


def reliability(p_ai: Scores, target: NDArray[np.int_], bins: int = 15) -> Scores:
    """Compare P(AI) with the share of AI in equally wide bins; empty ones are left out.

    Args:
        p_ai: float64 `[N]`, 0 to 1.
        target: int `[N]`, 0 for real, 1 for AI.
        bins: Number of bins.

    Returns:
        float64 `[bins, 3]`: mean P(AI), share of AI, photos.
    """
    index = np.minimum((p_ai * bins).astype(int), bins - 1)
    counts = np.bincount(index, minlength=bins)
    sums = [np.bincount(index, weights=values, minlength=bins) for values in (p_ai, target)]
    rows: Scores = np.stack([*(total / np.maximum(counts, 1) for total in sums), counts], axis=1)
    return rows[counts > 0]


def expected_calibration_error(p_ai: Scores, target: NDArray[np.int_], bins: int = 15) -> float:
    """Give the mean gap, 0 to 1, between P(AI) and the share of AI in equally wide bins."""
    mean, share, photos = reliability(p_ai, target, bins).T
    return float(np.abs(mean - share) @ photos / photos.sum())

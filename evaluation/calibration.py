"""Honest probabilities from labelled photos.

The temperature is that of Guo et al., "On Calibration of Modern Neural Networks", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logsumexp

from .types import Scores

_STEEPEST = 20.0  # slope, and its inverse: where labels separate, steeper would always fit better
_LEAST = float(np.finfo(np.float32).tiny)  # of a probability, so that its logarithm is a number


def at_temperature(probabilities: ArrayLike, temperature: float) -> Scores:
    """Probabilities `[N, C]` as they are when their logits are divided by the temperature; float64."""
    return np.exp(_log_at(probabilities, temperature))


def _log_at(probabilities: ArrayLike, temperature: float) -> Scores:
    logarithms: Scores = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _LEAST))
    result: Scores = log_softmax(logarithms / temperature, axis=1)
    return result


def ai_margin(probabilities: ArrayLike, ai: Sequence[int], temperature: float = 1.0) -> Scores:
    """Give the logit of P(AI), float64 `[N]`, from probabilities `[N, C]` whose logits are divided by `temperature`."""
    logarithms = _log_at(probabilities, temperature)
    rest = [column for column in range(logarithms.shape[1]) if column not in ai]
    margin: Scores = logsumexp(logarithms[:, ai], axis=1) - logsumexp(logarithms[:, rest], axis=1)
    return margin


def fit_temperature(margin_at: Callable[[float], Scores], target: NDArray[np.int_]) -> float:
    """Find the temperature, 0.05 to 20, that minimises the negative log likelihood, both labels weighing the same.

    Args:
        margin_at: From a temperature to the logits of P(AI), float64 `[N]`.
        target: int `[N]`, 0 for real, 1 for AI.
    """
    found = minimize_scalar(
        lambda log_temperature: balanced_loss(margin_at(np.exp(log_temperature)), target),
        bounds=np.log([1 / _STEEPEST, _STEEPEST]),
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_platt(margin: Scores, target: NDArray[np.int_]) -> tuple[float, float]:
    """Slope and bias that minimise the negative log likelihood, both labels weighing the same.

    Platt, "Probabilistic outputs for support vector machines", 1999. The slope is what a temperature divides by, turned
    over; the bias moves the even chance to where it belongs on photos that the network was not trained on.

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

    bounds = [(1 / _STEEPEST, _STEEPEST), (None, None)]
    found = minimize(loss_and_slope, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-12)
    return float(found.x[0]), float(found.x[1])


def balanced_loss(margin: Scores, target: NDArray[np.int_]) -> float:
    """Negative log likelihood, both labels weighing the same."""
    weights = 0.5 / np.bincount(target, minlength=2)[target]
    return float(weights @ np.logaddexp(0.0, np.where(target == 1, -margin, margin)))


def reliability(p_ai: Scores, target: NDArray[np.int_], bins: int = 15) -> Scores:
    """What the photos of each bin turned out to be, over equally wide bins of P(AI); empty ones are left out.

    Args:
        p_ai: float64 `[N]`, 0 to 1.
        target: int `[N]`, 0 for real, 1 for AI.
        bins: How many.

    Returns:
        float64 `[bins, 3]`: mean P(AI), share of AI, photos.
    """
    place = np.minimum((p_ai * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (p_ai, target)]
    found: Scores = np.stack([*(total / np.maximum(counts, 1) for total in sums), counts], axis=1)
    return found[counts > 0]


def expected_calibration_error(p_ai: Scores, target: NDArray[np.int_], bins: int = 15) -> float:
    """Mean gap between P(AI) and the share of AI among photos with that score, over equally wide bins; 0 to 1."""
    found = reliability(p_ai, target, bins)
    return float(np.abs(found[:, 0] - found[:, 1]) @ found[:, 2] / found[:, 2].sum())

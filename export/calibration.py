"""Honest probabilities from labelled photos.

The temperature is that of Guo et al., "On Calibration of Modern Neural Networks", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logsumexp

from aiface_runtime.errors import InputError

from .errors import DataError
from .operating_points import operating_points
from .samples import check_files, read_samples
from .source import Source

Scores: TypeAlias = NDArray[np.float64]

_STEEPEST = 20.0  # slope, and its inverse: where labels separate, steeper would always fit better
_LEAST = float(np.finfo(np.float32).tiny)  # of a probability, so that its logarithm is a number


@dataclass(frozen=True)
class Calibration:
    """What labelled photos say of a source's probabilities.

    Attributes:
        temperature: What the logits are to be divided by.
        record: `calibration` as the manifest has it.
        operating_points: As the manifest has them.
    """

    temperature: float
    record: dict[str, Any]
    operating_points: dict[str, dict[str, Any]]


def calibrate(source: Source, place: Path) -> Calibration:
    """Fit the temperature and the operating points on labelled photos, of the val split where there is one.

    Args:
        source: Of any number of labels; P(AI) is the sum over those that mean AI.
        place: What `read_samples` takes.

    Raises:
        DataError: There are no such photos, none of one label, or one cannot be read.
    """
    samples = read_samples(place)
    split = "val " if any(sample.split == "val" for sample in samples) else ""
    samples = [sample for sample in samples if not split or sample.split == "val"]
    check_files(samples)
    target = np.array([sample.target for sample in samples])
    if len(set(target)) < 2:
        raise DataError(f"{place}: calibrating needs photos of both labels, real and ai")
    try:
        probabilities = source.probabilities(sample.path for sample in samples)
    except InputError as error:
        raise DataError(f"--calibrate: {error}") from error
    ai = source.ai_columns
    temperature = _fit(lambda at: _margin(probabilities, ai, at), target)
    before, after = _margin(probabilities, ai), _margin(probabilities, ai, temperature)
    record = {
        "method": "temperature, in the graph",
        "temperature": temperature,
        "fitted_on": f"{len(samples)} {split}photos of {place.resolve().name}, both labels weighing the same",
        "ece_before": expected_calibration_error(expit(before), target),
        "ece_after": expected_calibration_error(expit(after), target),
        "nll_before": _loss(before, target),
        "nll_after": _loss(after, target),
    }
    return Calibration(temperature, record, operating_points({"clean": expit(after)}, samples))


def at_temperature(probabilities: ArrayLike, temperature: float) -> Scores:
    """Probabilities `[N, C]` as they are when their logits are divided by the temperature; float64."""
    return np.exp(_log_at(probabilities, temperature))


def _log_at(probabilities: ArrayLike, temperature: float) -> Scores:
    logarithms: Scores = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _LEAST))
    result: Scores = log_softmax(logarithms / temperature, axis=1)
    return result


def _margin(probabilities: ArrayLike, ai: Sequence[int], temperature: float = 1.0) -> Scores:
    """float64 `[N]`, logit of P(AI)."""
    logarithms = _log_at(probabilities, temperature)
    rest = [column for column in range(logarithms.shape[1]) if column not in ai]
    margin: Scores = logsumexp(logarithms[:, ai], axis=1) - logsumexp(logarithms[:, rest], axis=1)
    return margin


def _fit(margin_at: Callable[[float], Scores], target: NDArray[np.int_]) -> float:
    found = minimize_scalar(
        lambda log_temperature: _loss(margin_at(np.exp(log_temperature)), target),
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
        return _loss(moved, target), np.array([error @ margin, error.sum()])

    bounds = [(1 / _STEEPEST, _STEEPEST), (None, None)]
    found = minimize(loss_and_slope, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-12)
    return float(found.x[0]), float(found.x[1])


def _loss(margin: Scores, target: NDArray[np.int_]) -> float:
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

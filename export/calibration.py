"""Honest probabilities and thresholds from labelled photos.

The temperature is that of Guo et al., "On Calibration of Modern Neural Networks", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logsumexp

from aiface_runtime.errors import InputError

from .errors import DataError
from .samples import check_files, read_samples
from .source import Source

Scores: TypeAlias = NDArray[np.float64]

_UNSURE = 0.1  # outside the uncertain band at most this share of either label is wrong
_LOW_FALSE_ALARM = 0.01
_HIGH_RECALL = 0.95
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
    operating_points: dict[str, dict[str, float]]


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
    return Calibration(temperature, record, operating_points(expit(after), target))


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


def fit_temperature(margin: Scores, target: NDArray[np.int_]) -> float:
    """The temperature that minimises the negative log likelihood, both labels weighing the same.

    Args:
        margin: float64 `[N]`, logit of AI less logit of real.
        target: int `[N]`, 0 for real, 1 for AI.

    Returns:
        Temperature, 0.05 to 20; P(AI) is `sigmoid(margin / temperature)`.
    """
    return _fit(lambda temperature: margin / temperature, target)


def _fit(margin_at: Callable[[float], Scores], target: NDArray[np.int_]) -> float:
    found = minimize_scalar(
        lambda log_temperature: _loss(margin_at(np.exp(log_temperature)), target),
        bounds=np.log([0.05, 20.0]),
        method="bounded",
    )
    return float(np.exp(found.x))


def _loss(margin: Scores, target: NDArray[np.int_]) -> float:
    """Negative log likelihood, both labels weighing the same."""
    weights = 0.5 / np.bincount(target, minlength=2)[target]
    return float(weights @ np.logaddexp(0.0, np.where(target == 1, -margin, margin)))


def expected_calibration_error(p_ai: Scores, target: NDArray[np.int_], bins: int = 15) -> float:
    """Mean gap between P(AI) and the share of AI among photos with that score, over equally wide bins; 0 to 1."""
    place = np.minimum((p_ai * bins).astype(int), bins - 1)
    gaps = [abs(p_ai[place == b].mean() - target[place == b].mean()) * (place == b).sum() for b in np.unique(place)]
    return float(sum(gaps) / len(p_ai))


def operating_points(p_ai: Scores, target: NDArray[np.int_]) -> dict[str, dict[str, float]]:
    """Thresholds from val, each with its measured rates.

    `balanced` answers from 0.5 on, and is uncertain where more than a tenth of a label would be judged wrongly;
    `low_false_alarm` calls AI only what at most one real photo in a hundred reaches; `high_recall` calls real only what
    at most one AI photo in twenty falls below.
    """
    real, ai = p_ai[target == 0], p_ai[target == 1]
    tenth_of_real, tenth_of_ai = _exceeded_by(real, _UNSURE), float(np.quantile(ai, _UNSURE))
    low_false_alarm, high_recall = _exceeded_by(real, _LOW_FALSE_ALARM), float(np.quantile(ai, 1 - _HIGH_RECALL))
    chosen = {
        "balanced": (min(0.5, tenth_of_ai), max(0.5, tenth_of_real)),
        "low_false_alarm": (min(0.5, low_false_alarm), low_false_alarm),
        "high_recall": (min(high_recall, 0.5), min(high_recall, 0.5)),
    }
    return {
        name: {
            "real_below": float(low),
            "ai_from": float(high),
            "false_positive_rate": float((real >= high).mean()),
            "true_positive_rate": float((ai >= high).mean()),
            "uncertain": float(((p_ai >= low) & (p_ai < high)).mean()),
        }
        for name, (low, high) in chosen.items()
    }


def _exceeded_by(scores: Scores, share: float) -> float:
    """The lowest threshold that at most `share` of the scores reach."""
    ranked = np.sort(scores)[::-1]
    return float(min(1.0, np.nextafter(ranked[int(share * len(ranked))], 2.0)))

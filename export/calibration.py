"""Honest probabilities and thresholds from labelled photos.

The temperature is that of Guo et al., "On Calibration of Modern Neural Networks", 2017.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Scores: TypeAlias = NDArray[np.float64]

_UNSURE = 0.1  # outside the uncertain band at most this share of either label is wrong
_LOW_FALSE_ALARM = 0.01
_HIGH_RECALL = 0.95


def fit_temperature(margin: Scores, target: NDArray[np.int_]) -> float:
    """The temperature that minimises the negative log likelihood, both labels weighing the same.

    Args:
        margin: float64 `[N]`, logit of AI less logit of real.
        target: int `[N]`, 0 for real, 1 for AI.

    Returns:
        Temperature, 0.05 to 20; P(AI) is `sigmoid(margin / temperature)`.
    """
    weights = 0.5 / np.bincount(target, minlength=2)[target]
    wrong_by = np.where(target == 1, -margin, margin)

    def loss(log_temperature: float) -> float:
        return float(weights @ np.logaddexp(0.0, wrong_by / np.exp(log_temperature)))

    return float(np.exp(minimize_scalar(loss, bounds=np.log([0.05, 20.0]), method="bounded").x))


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

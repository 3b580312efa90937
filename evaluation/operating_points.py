"""Thresholds from labelled photos: from where on a model calls AI, below where real, and where it is uncertain.

Every bound is on counts of these photos, so it holds on them exactly, in every condition that it is made for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from .dataset import Sample
from .names import DEFAULT
from .records.fitted_points import FittedPoint, MeasuredRates

if TYPE_CHECKING:
    from .types import Scores

__all__ = ["DEFAULT", "operating_points"]

# The default is for the usual conditions. Bounded in the hard condition too, the thresholds would move so far, because
# of photos of 256 pixels, that most good photos would be uncertain; `low_false_alarm` is bounded there.
_EVERYDAY = ("clean", "web")
MAX_FPR = 0.02  # share of the real photos that `balanced` calls AI
SOURCE_ALLOWANCE = (
    2.5  # times as many of a single source: no kind of photo is called AI much more often than the others
)
MIN_AI_THRESHOLD = 0.5  # what is likelier real is never called AI
MAX_FNR, MAX_FNR_OF_A_GENERATOR = 0.1, 0.5  # share of the AI photos that `balanced` calls real, and of a generator's
MIN_GROUP = 50  # photos; in a smaller group a few outliers would set the thresholds

# The photos are a sample, and sources that the model has not seen do worse. So the rate itself, not only its estimate,
# is at most this with this confidence, in each condition (Clopper & Pearson 1934, one-sided).
MAX_FPR_LOW_FALSE_ALARM, CONFIDENCE = 0.01, 0.95
MAX_FNR_HIGH_RECALL = 0.05  # share of the AI photos that `high_recall` calls real

_DECIMALS = 5  # rounded to the side that keeps the bound; later digits differ between frameworks

_Limit: TypeAlias = tuple[NDArray[np.bool_], int]  # some photos `[N]`, and how many of them may be wrong


def operating_points(
    scores: Mapping[str, Scores], samples: Sequence[Sample], max_fpr: float | None = None
) -> dict[str, FittedPoint]:
    """Choose thresholds, and measure them on the photos that they were chosen on.

    `balanced` calls AI from the lowest threshold, at least 0.5, at which at most 2 % of the real photos and 5 % of
    those of any source are called AI, and real below the highest at which at most 10 % of the AI photos and half of
    those of any generator are called real: of clean photos and of those from the web. `low_false_alarm` calls so few
    AI that, with 95 % confidence, it is at most 1 % of the real photos in every condition. `high_recall` calls at most
    5 % of the AI photos real in every condition, and is never uncertain.

    Args:
        scores: P(AI) by condition, float64 `[N]`; a single condition may have any name.
        samples: The N photos, of both labels.
        max_fpr: Share of the real photos that `balanced` may call AI in place of 2 %, and 2.5 times that of a source;
            where it is below 1 %, `low_false_alarm` keeps it too. Above 0 and below 1.

    Returns:
        By name, measured in every condition.
    """
    rate = MAX_FPR if max_fpr is None else max_fpr
    everyday = [scores[condition] for condition in _EVERYDAY if condition in scores] or list(scores.values())
    real, ai = (np.array([sample.label == label for sample in samples]) for label in ("real", "ai"))
    ai_from = max(MIN_AI_THRESHOLD, _lowest(everyday, _limits(samples, "real", rate, SOURCE_ALLOWANCE * rate)))
    real_below = min(ai_from, _highest(everyday, _limits(samples, "ai", MAX_FNR, MAX_FNR_OF_A_GENERATOR)))
    max_false_alarms = _max_with_confidence(int(real.sum()), min(MAX_FPR_LOW_FALSE_ALARM, rate))
    low_false_alarm = max(ai_from, _lowest(scores.values(), [(real, max_false_alarms)]))
    high_recall = min(0.5, _highest(scores.values(), [(ai, _max_count(MAX_FNR_HIGH_RECALL, ai))]))
    thresholds = {
        DEFAULT: (real_below, ai_from),
        "low_false_alarm": (real_below, low_false_alarm),
        "high_recall": (high_recall, high_recall),
    }
    return {
        name: FittedPoint(
            real_below=low,
            ai_from=high,
            measured={condition: _measured(p_ai, real, low, high) for condition, p_ai in scores.items()},
        )
        for name, (low, high) in thresholds.items()
    }


def _limits(samples: Sequence[Sample], label: str, share: float, share_of_a_group: float) -> list[_Limit]:
    """Limit all photos of a label, and those of each of its sources (real) or generators (AI) that is large enough."""
    groups = [(sample.generator or sample.source) if label == "ai" else sample.source for sample in samples]
    of_label = np.array([sample.label == label for sample in samples])
    limits = [(of_label, _max_count(share, of_label))]
    sizes = Counter(group for group, sample in zip(groups, samples, strict=True) if sample.label == label)
    for group in (name for name, size in sizes.items() if size >= MIN_GROUP):
        inside = of_label & (np.array(groups) == group)
        limits.append((inside, _max_count(share_of_a_group, inside)))
    return limits


def _max_count(share: float, inside: NDArray[np.bool_]) -> int:
    count = int(inside.sum())
    # 0.05 * 60 is a little less than 3 in some roundings.
    return min(count - 1, math.floor(share * count + 1e-9))


def _max_with_confidence(count: int, rate: float) -> int:
    """Give the most false alarms among so many photos that still bound their rate; at 1 % of fewer than 299 none."""
    bounded = bdtr(np.arange(count), count, rate) <= 1 - CONFIDENCE
    return max(0, int(bounded.sum()) - 1)


def _lowest(conditions: Iterable[Scores], limits: Sequence[_Limit]) -> float:
    """Find the lowest threshold that in no condition more photos reach than the limits allow."""
    needed = [np.sort(p_ai[inside])[::-1][count] for p_ai in conditions for inside, count in limits]
    unit = 10.0**_DECIMALS
    return float(min(1.0, (math.floor(max(needed) * unit) + 1) / unit))


def _highest(conditions: Iterable[Scores], limits: Sequence[_Limit]) -> float:
    """Find the highest threshold below which in no condition more photos lie than the limits allow."""
    allowed = [np.sort(p_ai[inside])[count] for p_ai in conditions for inside, count in limits]
    unit = 10.0**_DECIMALS
    return float(math.floor(min(allowed) * unit) / unit)


def _measured(p_ai: Scores, real: NDArray[np.bool_], low: float, high: float) -> MeasuredRates:
    return MeasuredRates(
        false_positive_rate=float((p_ai[real] >= high).mean()),
        true_positive_rate=float((p_ai[~real] >= high).mean()),
        uncertain=float(((p_ai >= low) & (p_ai < high)).mean()),
    )

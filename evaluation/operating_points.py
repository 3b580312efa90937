"""Thresholds from val: what a model may call AI, what real, and where it had better say that it is unsure.

Every promise is about counts of val photos, so it holds on them exactly, in every condition that it is made for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from .dataset import Sample

if TYPE_CHECKING:
    from .types import Scores

DEFAULT = "balanced"  # what the runtime takes unless told otherwise

# The default is for photos as one meets them. Kept in the hard condition too, its promise would move the thresholds so
# far, for the sake of photos of 256 pixels, that good photos would hardly get an answer; that is for `low_false_alarm`.
_EVERYDAY = ("clean", "web")
_ACCUSED, _ACCUSED_OF_A_SOURCE = 0.02, 0.05  # most real photos called AI; no kind of photo may pay for the others
_LEAST_ACCUSATION = 0.5  # what is likelier real is never called AI
_PASSED, _PASSED_OF_A_GENERATOR = 0.1, 0.5  # most AI photos called real; no generator may pass as a matter of course
_LEAST_GROUP = 50  # photos; of a smaller group a few accidents would set the thresholds

# Val is a sample, and sources that the model has not met do worse than val. So the rate itself, not only its estimate,
# is at most this with this confidence, in each condition (Clopper & Pearson 1934, one-sided).
_LOW_FALSE_ALARM, _CONFIDENCE = 0.01, 0.95
_MISSED = 0.05  # most AI photos that `high_recall` calls real

_DECIMALS = 5  # rounded to the side that keeps the promise; later digits differ between frameworks

_Limit: TypeAlias = tuple[NDArray[np.bool_], int]  # some photos `[N]`, and how many of them may be wrong


def operating_points(scores: Mapping[str, Scores], samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Thresholds, with what they do on the photos that they were fitted on.

    `balanced` calls AI from the lowest threshold, at least 0.5, at which at most 2 % of the real photos and 5 % of
    those of any source are accused, and real below the highest at which at most 10 % of the AI photos and half of
    those of any generator pass: of clean photos and of those from the web. `low_false_alarm` accuses so few that, with
    95 % confidence, it is at most 1 % of the real photos in every condition. `high_recall` lets at most 5 % of the AI
    photos pass in every condition, and is never unsure.

    Args:
        scores: By condition, float64 `[N]` P(AI); a single condition may have any name.
        samples: The N photos, of both labels.

    Returns:
        By name: `real_below`, `ai_from` (0 to 1) and `measured`, which has for each condition `false_positive_rate`,
        `true_positive_rate` and `uncertain`, a share of all photos.
    """
    everyday = [scores[condition] for condition in _EVERYDAY if condition in scores] or list(scores.values())
    real, ai = (np.array([sample.label == label for sample in samples]) for label in ("real", "ai"))
    ai_from = max(_LEAST_ACCUSATION, _lowest(everyday, _limits(samples, "real", _ACCUSED, _ACCUSED_OF_A_SOURCE)))
    real_below = min(ai_from, _highest(everyday, _limits(samples, "ai", _PASSED, _PASSED_OF_A_GENERATOR)))
    rarely = max(ai_from, _lowest(scores.values(), [(real, _most_with_confidence(int(real.sum())))]))
    eagerly = min(0.5, _highest(scores.values(), [(ai, _most(_MISSED, ai))]))
    chosen = {
        DEFAULT: (real_below, ai_from),
        "low_false_alarm": (real_below, rarely),
        "high_recall": (eagerly, eagerly),
    }
    return {
        name: {
            "real_below": low,
            "ai_from": high,
            "measured": {condition: _measured(p_ai, real, low, high) for condition, p_ai in scores.items()},
        }
        for name, (low, high) in chosen.items()
    }


def _limits(samples: Sequence[Sample], label: str, share: float, share_of_a_group: float) -> list[_Limit]:
    """Of all photos of a label, and of each of its sources (real) or generators (AI) that is large enough."""
    groups = [(sample.generator or sample.source) if label == "ai" else sample.source for sample in samples]
    of_label = np.array([sample.label == label for sample in samples])
    limits = [(of_label, _most(share, of_label))]
    sizes = Counter(group for group, sample in zip(groups, samples, strict=True) if sample.label == label)
    for group in (name for name, size in sizes.items() if size >= _LEAST_GROUP):
        inside = of_label & (np.array(groups) == group)
        limits.append((inside, _most(share_of_a_group, inside)))
    return limits


def _most(share: float, inside: NDArray[np.bool_]) -> int:
    return math.floor(share * int(inside.sum()) + 1e-9)  # 0.05 * 60 is a little less than 3 in some roundings


def _most_with_confidence(count: int) -> int:
    """The most false alarms among so many photos that still bound their rate; of fewer than 299 photos none."""
    bounded = bdtr(np.arange(count), count, _LOW_FALSE_ALARM) <= 1 - _CONFIDENCE
    return max(0, int(bounded.sum()) - 1)


def _lowest(conditions: Iterable[Scores], limits: Sequence[_Limit]) -> float:
    """The lowest threshold that in every condition no more photos reach than may be."""
    needed = [np.sort(p_ai[inside])[::-1][most] for p_ai in conditions for inside, most in limits]
    unit = 10.0**_DECIMALS
    return float(min(1.0, (math.floor(max(needed) * unit) + 1) / unit))


def _highest(conditions: Iterable[Scores], limits: Sequence[_Limit]) -> float:
    """The highest threshold below which in every condition no more photos lie than may be."""
    allowed = [np.sort(p_ai[inside])[most] for p_ai in conditions for inside, most in limits]
    unit = 10.0**_DECIMALS
    return float(math.floor(min(allowed) * unit) / unit)


def _measured(p_ai: Scores, real: NDArray[np.bool_], low: float, high: float) -> dict[str, float]:
    return {
        "false_positive_rate": float((p_ai[real] >= high).mean()),
        "true_positive_rate": float((p_ai[~real] >= high).mean()),
        "uncertain": float(((p_ai >= low) & (p_ai < high)).mean()),
    }

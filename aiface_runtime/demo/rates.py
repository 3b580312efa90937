"""How often an operating point is wrong, as the model's manifest says it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..manifest import Manifest, OperatingPoint

_SPLITS = ("test", "val")  # the first that there is; none of test's photos helped to choose the model


@dataclass(frozen=True, slots=True)
class Rate:
    """How often verdicts were AI on labelled photos, under one condition.

    Attributes:
        condition: Condition's name and what it does to a photo.
        photos: Number and kind of the photos that were measured.
        false_alarms: Share of the real photos that are called AI, 0 to 1.
        interval: 95 % interval of `false_alarms`; None where there is none.
        found: Share of the AI photos that are called AI, 0 to 1.
    """

    condition: str
    photos: str
    false_alarms: float
    interval: tuple[float, float] | None
    found: float


def measured_rates(manifest: Manifest, point: str) -> tuple[Rate, ...]:
    """Read the rates of an operating point: on `test`, else on `val`, else on the photos that it was fitted to.

    Returns:
        One for each condition; none of a model that was not measured at these thresholds.
    """
    try:
        return _evaluated(manifest.document["evaluation"], point, manifest.operating_points[point])
    except (KeyError, TypeError, ValueError, AttributeError):  # the runtime does not check this part of a manifest
        pass
    try:
        return _fitted(manifest.document["operating_points"][point]["measured"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()


def _evaluated(evaluation: Mapping[str, Any], name: str, point: OperatingPoint) -> tuple[Rate, ...]:
    thresholds = evaluation["operating_points"][name]
    if (thresholds["real_below"], thresholds["ai_from"]) != (point.real_below, point.ai_from):
        raise ValueError("measured at other thresholds")
    split = next(split for split in (*_SPLITS, None) if split is None or split in evaluation["splits"])
    conditions = evaluation["splits"][split]["conditions"]
    return tuple(
        _rate(f"{condition}: {what}", str(split), conditions[condition]["overall"], name)
        for condition, what in evaluation["conditions"]
        if condition in conditions
    )


def _rate(condition: str, split: str, overall: Mapping[str, Any], point: str) -> Rate:
    rates = overall["points"][point]
    interval = rates.get("fpr_interval")
    return Rate(
        condition,
        f"{int(overall['n_real'])} real and {int(overall['n_ai'])} AI photos of the split {split}",
        float(rates["fpr"]),
        None if interval is None else (float(interval[0]), float(interval[1])),
        float(rates["tpr"]),
    )


def _fitted(measured: Mapping[str, Any]) -> tuple[Rate, ...]:
    return tuple(
        Rate(
            str(condition),
            "the photos that the thresholds were fitted to",
            float(rates["false_positive_rate"]),
            None,
            float(rates["true_positive_rate"]),
        )
        for condition, rates in measured.items()
    )

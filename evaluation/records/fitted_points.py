"""Thresholds that were fitted to labelled photos, as the manifest and `aiface.json` have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .json_record import JsonRecord
from .results import Thresholds


@dataclass(frozen=True, kw_only=True)
class MeasuredRates(JsonRecord):
    """What thresholds do on the photos of one condition that they were chosen on; all are 0 to 1.

    Attributes:
        false_positive_rate: Share of the real photos that are called AI.
        true_positive_rate: Share of the AI photos that are called AI.
        uncertain: Share of all photos that get no verdict.
    """

    false_positive_rate: float
    true_positive_rate: float
    uncertain: float


@dataclass(frozen=True, kw_only=True)
class FittedPoint(Thresholds):
    """Thresholds that were chosen on labelled photos.

    Attributes:
        measured: Rates on these photos, by condition; empty where they are not known.
    """

    measured: Mapping[str, MeasuredRates] = field(default_factory=dict)


def read_points(values: Mapping[str, Any], name: str) -> dict[str, FittedPoint]:
    """Read thresholds by name from JSON.

    Args:
        values: The parsed JSON.
        name: Name of its file, for messages.

    Raises:
        DataError: They are no such thresholds.
    """
    return {
        point: FittedPoint.from_json(value, f"{name}: its operating point {point!r}") for point, value in values.items()
    }

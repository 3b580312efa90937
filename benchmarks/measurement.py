"""What was measured of a subject, as the results file records it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from aiface_runtime.latency import Timing

from .subjects import OURS

_RESAMPLES = 2000
_PERCENTILES = (2.5, 97.5)  # a 95 % interval
_NONE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one task measured of one subject; None where the task does not measure it.

    Attributes:
        failed: Reason why there is no measurement.
        ms: Median latency, in milliseconds.
        ms_95: Ends of its 95 % interval.
        ratio: Median latency relative to this library's.
        ratio_95: Ends of its 95 % interval.
        difference: Absolute difference of P(AI) to this library's answer, 0 to 1.
        cpu_share: CPU seconds used per second.
        peak_mb: Peak resident memory, in MB.
        photos_per_second: Throughput over a folder.
    """

    failed: str | None = None
    ms: float | None = None
    ms_95: Sequence[float] | None = None
    ratio: float | None = None
    ratio_95: Sequence[float] | None = None
    difference: float | None = None
    cpu_share: float | None = None
    peak_mb: float | None = None
    photos_per_second: float | None = None

    def to_json(self) -> dict[str, str | float | Sequence[float]]:
        """Return what was measured, without what was not."""
        return {name: value for name, value in asdict(self).items() if value is not None}


Measurements = dict[str, Measurement]  # by subject


def read(record: Mapping[str, Mapping[str, Any]]) -> Measurements:
    """Read the measurements of one table, by subject."""
    return {name: Measurement(**measured) for name, measured in record.items()}


def read_columns(record: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Measurements]:
    """Read the measurements of a table with a column a photo, batch size or number of megapixels."""
    return {column: read(measured) for column, measured in record.items()}


def ordered(columns: Mapping[str, Measurements]) -> list[str]:
    """Return the names of subjects: this library first, then by time in the first column, then what failed."""
    first = next(iter(columns.values()))
    return sorted(first, key=lambda name: (name != OURS, first[name].failed is not None, first[name].ms or 0.0))


def summarise(
    samples: Mapping[str, Sequence[float]],
    *,
    difference: Mapping[str, float] = _NONE,
    cpu_share: Mapping[str, float] = _NONE,
    peak_mb: Mapping[str, float] = _NONE,
) -> Measurements:
    """Return medians and ratios to this library, both with 95 % intervals.

    The intervals of ratios are a paired bootstrap over rounds (Efron 1979).

    Args:
        samples: Seconds a round, by subject.
        difference: `difference` of `Measurement`, by subject.
        cpu_share: `cpu_share` of `Measurement`, by subject.
        peak_mb: `peak_mb` of `Measurement`, by subject.
    """
    ours = np.asarray(samples.get(OURS, ()), dtype=np.float64)
    measurements = {}
    for name, seconds in samples.items():
        timing = Timing.of(seconds)
        ratio, ratio_95 = _ratio(np.asarray(seconds), ours) if len(ours) == len(seconds) else (None, None)
        measurements[name] = Measurement(
            ms=timing.median,
            ms_95=(timing.low, timing.high),
            ratio=ratio,
            ratio_95=ratio_95,
            difference=difference.get(name),
            cpu_share=cpu_share.get(name),
            peak_mb=peak_mb.get(name),
        )
    return measurements


def _ratio(theirs: np.ndarray, ours: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return the ratio of medians, and the ends of its interval."""
    rounds = np.random.default_rng(0).integers(0, len(ours), (_RESAMPLES, len(ours)))
    ratios = np.median(theirs[rounds], axis=1) / np.median(ours[rounds], axis=1)
    low, high = np.percentile(ratios, _PERCENTILES)
    return float(np.median(theirs) / np.median(ours)), (float(low), float(high))

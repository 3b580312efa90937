"""What a Keras network wants to be fed, as far as the operations between its input and its first weights tell.

They are run on pictures of one colour. What then arrives at the first weights is a straight line of the input's level,
and only one range of levels makes of it what networks are trained on: 0 to 1, -1 to 1, standardised or centred levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checkpoint_record import Channels
from ..pixel_range import CAFFE_MEAN, PixelRange

_LEVELS = (0.0, 1.0, 51.0, 128.0, 204.0, 255.0)
# Pictures of one colour: grey at each level, then full red, green and blue, if the input is RGB.
PROBES = np.array([[level] * 3 for level in _LEVELS] + (255 * np.eye(3)).tolist(), dtype=np.float32)
_BOUNDS: dict[PixelRange, tuple[float, float]] = {"0-255": (0, 255), "0-1": (0, 1), "-1-1": (-1, 1)}
_FULL = np.array([(0, 1), (-1, 1), (-0.5, 0.5)])
_TOLERANCE = 0.02  # of a span: 1/256 is meant as 1/255 is
_STANDARDISED_SPAN = (2.8, 7.0)  # 1 by the standard deviation of photos, 0.14 to 0.36 of the range
_STANDARDISED_CENTRE = 0.25  # of the span: the photos' mean lies in the middle half of the range
_CENTRED_SPAN, _CENTRED = (230.0, 280.0), 64.0  # levels less a mean
_MEAN_TOLERANCE = 2.0  # levels; 0.456 * 255 is 116.3, Caffe's is 116.8


class Expected(NamedTuple):
    """What a network's own operations tell of its input; None where they do not."""

    range: PixelRange | None = None
    channels: Channels | None = None


class _Line(NamedTuple):
    """What arrives for grey of level x: `slope * x + offset`; and what full red, green and blue add to that of black.

    Attributes:
        slope: float64 `[K]`, of K values that arrive.
        offset: float64 `[K]`.
        colours: float64 `[3, K]`.
    """

    slope: NDArray[np.float64]
    offset: NDArray[np.float64]
    colours: NDArray[np.float64]


def pictures(height: int, width: int) -> NDArray[np.float32]:
    """Return the pictures to run a network's first operations on, float32 `[9, height, width, 3]`."""
    return np.broadcast_to(PROBES[:, None, None], (len(PROBES), height, width, 3)).copy()


def expected_input(arrived: Sequence[NDArray[Any]]) -> Expected:
    """Tell from what arrived at the first weights what the network wants to be fed.

    Args:
        arrived: Arrays that arrived at each of them for `pictures`, `[9, ...]`.
    """
    lines = [_line(values) for values in arrived]
    verdicts = {Expected() if line is None else _of_line(line) for line in lines}
    return verdicts.pop() if len(verdicts) == 1 else Expected()


def _line(values: NDArray[Any]) -> _Line | None:
    """Fit a line to what arrives in the middle of the picture; None where it is none."""
    middle = tuple(side // 2 for side in values.shape[1:-1])
    rows = values[(slice(None), *middle)].reshape(len(PROBES), -1).astype(np.float64)
    grey, levels = rows[: len(_LEVELS)], np.array(_LEVELS)[:, None]
    slope, offset = (grey[-1] - grey[0]) / 255, grey[0]
    error = np.abs(slope * levels + offset - grey).max(axis=0)
    if not np.all(error <= 1e-3 * np.abs(255 * slope) + 1e-7) or not np.all(slope):
        return None
    return _Line(slope, offset, rows[len(_LEVELS) :] - grey[0])


def _of_line(line: _Line) -> Expected:
    if np.allclose(line.slope, 1, rtol=_TOLERANCE) and np.allclose(line.offset, 0, atol=_TOLERANCE):
        return Expected()
    ends = {name: np.stack([line.slope * end + line.offset for end in bounds]) for name, bounds in _BOUNDS.items()}
    fitting = [name for name, values in ends.items() if _is_full(values, name)] or [
        name for name, values in ends.items() if name != "-1-1" and _is_centred(values)
    ]
    if len(fitting) != 1:
        return Expected()
    return Expected(fitting[0], _channels(line, fitting[0]))


def _is_full(ends: NDArray[np.float64], name: PixelRange) -> bool:
    """Tell whether everything that arrives covers 0 to 1, -1 to 1 or -0.5 to 0.5; -1 to 1 only becomes 0 to 1."""
    low, high = ends.min(axis=0), ends.max(axis=0)
    targets = _FULL[:1] if name == "-1-1" else _FULL
    errors = [np.maximum(np.abs(low - start), np.abs(high - end)) / (end - start) for start, end in targets]
    return any(np.all(error <= _TOLERANCE) for error in errors)


def _is_centred(ends: NDArray[np.float64]) -> bool:
    """Tell whether everything that arrives is standardised, or is levels less a mean."""
    span, centre = np.abs(ends[1] - ends[0]), np.abs(ends.mean(axis=0))
    standardised = _within(span, _STANDARDISED_SPAN) & (centre <= _STANDARDISED_CENTRE * span)
    return bool(np.all(standardised) or np.all(_within(span, _CENTRED_SPAN) & (centre <= _CENTRED)))


def _within(values: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.bool_]:
    return (values >= bounds[0]) & (values <= bounds[1])


def _channels(line: _Line, name: PixelRange) -> Channels | None:
    """Tell the order by ImageNet's means, which differ between the channels; None where others are subtracted."""
    reached = np.abs(line.colours) > 1e-3 * np.abs(line.colours).max()
    if not np.all(reached.sum(axis=0) == 1):
        return None  # colours are mixed
    low, high = _BOUNDS[name]
    zeros = 255 * (-line.offset / line.slope - low) / (high - low)  # the level of which 0 is made
    means = [zeros[channel] for channel in reached]
    orders: dict[Channels, tuple[float, ...]] = {"rgb": CAFFE_MEAN, "bgr": CAFFE_MEAN[::-1]}
    for order, mean in orders.items():
        if all(
            np.allclose(found, value, rtol=0, atol=_MEAN_TOLERANCE) for found, value in zip(means, mean, strict=True)
        ):
            return order
    return None

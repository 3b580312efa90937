"""The self-test that a model file carries: a few small inputs and the file's answers to them.

It is run when the file is opened: an input alone, and then all as one batch in another order. What does not reproduce
the answers, a damaged graph or a device that computes something else, is refused before it judges a photo.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from .json_fields import integer_of, list_of, number_of, object_of, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_INPUTS = range(2, 9)
_SIDES = range(1, 65)  # pixels
_MAX_TOLERANCE = 0.5
_DEFAULT_TOLERANCE = 0.05
Answer: TypeAlias = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Small inputs, and what the graph answers to them.

    Attributes:
        side: Height and width of each input, in pixels.
        inputs: Their pixels, RGB rows of `side` x `side` x 3 bytes.
        answers: For each input the values of the graph's outputs, by their names, in rows one after the other; None of
            a file that stores none, whose answers are only held to each other.
        tolerance: Largest difference of a probability that is no fault, 0 to 0.5.
    """

    side: int
    inputs: tuple[bytes, ...]
    answers: tuple[Answer, ...] | None
    tolerance: float

    def photos(self, height: int, width: int) -> NDArray[np.uint8]:
        """Enlarge the inputs to the graph's size by repeating pixels: uint8 RGB `[N, height, width, 3]`."""
        import numpy as np  # not for reading a manifest

        small = np.frombuffer(b"".join(self.inputs), np.uint8).reshape(-1, self.side, self.side, 3)
        rows, columns = (np.arange(size) * self.side // size for size in (height, width))
        return small.take(columns, axis=2).take(rows, axis=1)


# Of files without a self-test: sixteen reddish pixels, and the same bytes begun later, which are greenish and bluish.
_REDDISH = bytes(level for step in range(16) for level in (255 - 3 * step, 12 * step, 2 * step))
_PLAIN = _REDDISH, _REDDISH[2:] + _REDDISH[:2], _REDDISH[1:] + _REDDISH[:1]
UNSTORED = SelfTest(4, _PLAIN, None, _DEFAULT_TOLERANCE)


def parse_self_test(value: object, shapes: Mapping[str, tuple[int, ...]]) -> SelfTest:
    """Read a manifest's `self_test`.

    Args:
        value: The parsed JSON; None of a file without.
        shapes: For each output of the graph its shape for one photo.

    Raises:
        ValueError: A field is of the wrong kind or size.
        KeyError: A field is missing.
    """
    if value is None:
        return UNSTORED
    fields = object_of(value, "self_test")
    side = integer_of(fields["side"], "side", _SIDES)
    inputs = [_pixels(text, side) for text in list_of(fields["inputs"], "inputs", _INPUTS)]
    count = range(len(inputs), len(inputs) + 1)
    outputs = {name: list_of(fields[name], name, count) for name in shapes}
    answers = tuple(
        {name: tuple(_numbers(outputs[name][index], name, shape)) for name, shape in shapes.items()}
        for index in range(len(inputs))
    )
    return SelfTest(side, tuple(inputs), answers, number_of(fields["tolerance"], "tolerance", 0, _MAX_TOLERANCE))


def _pixels(text: object, side: int) -> bytes:
    pixels = base64.b64decode(text, validate=True) if isinstance(text, str) and text.isascii() else b""
    if len(pixels) != 3 * side * side:
        raise ValueError(f"has a self-test's input {quoted(text)}, not {side} x {side} pixels in base64")
    return pixels


def _numbers(value: object, name: str, shape: tuple[int, ...]) -> list[float]:
    """Read nested lists of a shape, in rows one after the other."""
    if not shape:
        return [number_of(value, name)]
    rows = list_of(value, name, range(shape[0], shape[0] + 1))
    return [number for row in rows for number in _numbers(row, name, shape[1:])]

"""What the file and the model's own input show of how surely a photo can be judged, for next to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .prediction import PhotoWarning
from .reasons import Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOW_QUALITY = 8.0  # of a JPEG on libjpeg's scale, for models without a measured limit
_STEP = 4  # every fourth pixel of every fourth row
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_DARKEST = 0.05  # share of the pixels


def black_level(pixels: NDArray[np.uint8]) -> float:
    """Return the luma, 0 to 255, below which a twentieth of uint8 RGB `[H, W, 3]` lies, by one pixel in sixteen."""
    luma = (pixels[::_STEP, ::_STEP] @ _LUMA).ravel()
    rank = int(_DARKEST * luma.size)
    return float(np.partition(luma, rank)[rank])


def signal_warnings(
    pixels: NDArray[np.uint8], quality: int | None, rules: Mapping[str, Rule] | None
) -> tuple[PhotoWarning, ...]:
    """Judge what a photo shows by the limits that were measured for a model.

    Args:
        pixels: The model's input, uint8 RGB `[H, W, 3]`.
        quality: Quality of a JPEG on libjpeg's scale, 1 to 100; None of other files and of pictures without one.
        rules: The model's rules by reason; None where nothing was measured.
    """
    low = LOW_QUALITY if rules is None else rules.get(PhotoWarning.STRONG_COMPRESSION, Rule()).limit
    bright = None if rules is None else rules.get(PhotoWarning.WASHED_OUT, Rule()).limit
    found = []
    if quality is not None and low is not None and quality <= low:
        found.append(PhotoWarning.STRONG_COMPRESSION)
    if bright is not None and black_level(pixels) >= bright:
        found.append(PhotoWarning.WASHED_OUT)
    return tuple(found)

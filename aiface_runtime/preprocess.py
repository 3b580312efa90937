"""RGB uint8 of any size → the model's input, step by step as the manifest says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .manifest import CenterCrop, Resize, ResizeShorter, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray


def preprocess(pixels: NDArray[np.uint8], steps: Sequence[Step]) -> NDArray[np.uint8]:
    """Resize and crop one photo.

    Args:
        pixels: uint8 RGB `[H, W, 3]` of any size.
        steps: From the model's manifest.

    Returns:
        uint8 RGB `[height, width, 3]` of the model's input, equal to what transformers' image processors compute
        before they rescale.
    """
    image = Image.fromarray(pixels)
    for step in steps:
        image = _apply(image, step)
    return np.asarray(image)


def _apply(image: Image.Image, step: Step) -> Image.Image:
    if isinstance(step, CenterCrop):
        left, top = (image.width - step.width) // 2, (image.height - step.height) // 2
        return image.crop((left, top, left + step.width, top + step.height))
    size = (step.width, step.height) if isinstance(step, Resize) else _shorter_side(image, step)
    return image.resize(size, Image.Resampling[step.filter.upper()])


def _shorter_side(image: Image.Image, step: ResizeShorter) -> tuple[int, int]:
    shorter, longer = sorted(image.size)
    scaled = int(step.size * longer / shorter)
    return (step.size, scaled) if image.width <= image.height else (scaled, step.size)

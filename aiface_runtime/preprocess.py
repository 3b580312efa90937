"""RGB uint8 of any size → the model's input, step by step as the manifest says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias, Union, cast

import numpy as np
from PIL import Image

from .manifest import Manifest
from .steps import CenterCrop, CenterCropToEven, Resize, ResizeShorter, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .images import Box

Photo: TypeAlias = Union["NDArray[np.uint8]", Image.Image]


def min_decode_size(manifest: Manifest) -> tuple[int, int] | None:
    """Return the width and height that must remain when a photo is decoded smaller; None where it may not be."""
    if manifest.scaled_decoding is None:
        return None
    first = manifest.steps[0]
    width, height = (first.width, first.height) if isinstance(first, Resize) else 2 * (cast(ResizeShorter, first).size,)
    return math.ceil(manifest.scaled_decoding * width), math.ceil(manifest.scaled_decoding * height)


def preprocess(photo: Photo, steps: Sequence[Step], box: Box | None = None) -> NDArray[np.uint8]:
    """Resize and crop one photo.

    Args:
        photo: uint8 RGB `[H, W, 3]` of any size, or the same as a PIL image, which is not copied.
        steps: Resizes and crops of the model's manifest.
        box: Part of it that the photo fills, to a fraction of a pixel; None for all of them.

    Returns:
        uint8 RGB `[height, width, 3]` of the model's input, equal to what transformers' image processors compute
        before they rescale; with the filter `bilinear_no_antialias` within one level of what OpenCV's `INTER_LINEAR`
        computes.
    """
    for step in steps:
        photo, box = _apply(photo, step, box), None
    return np.asarray(photo)


def is_enlarged(size: tuple[int, int], steps: Sequence[Step]) -> bool:
    """Say whether a photo of that width and height is smaller than what the first step makes of it."""
    if not steps:
        return False
    first = steps[0]
    width, height = size if isinstance(first, CenterCrop | CenterCropToEven) else _resized(size, first)
    return width > size[0] or height > size[1]


def visible_box(size: tuple[int, int], steps: Sequence[Step]) -> Box:
    """Return what the model sees of a photo of that width and height, in the photo's pixels."""
    left, top, right, bottom = 0.0, 0.0, float(size[0]), float(size[1])
    sides: tuple[float, float] = size
    for step in steps:
        if isinstance(step, CenterCrop | CenterCropToEven):
            across, down = (right - left) / sides[0], (bottom - top) / sides[1]
            first = _corner(sides, step)
            left, top = left + first[0] * across, top + first[1] * down
            right, bottom = left + step.width * across, top + step.height * down
            sides = step.width, step.height
        else:
            sides = _resized(sides, step)
    return left, top, right, bottom


_ONE = 2048  # 11 bits: OpenCV weighs 8-bit pixels in fixed point


def _apply(photo: Photo, step: Step, box: Box | None) -> Photo:
    image = photo if isinstance(photo, Image.Image) else Image.fromarray(photo)
    width, height = image.size
    if isinstance(step, CenterCrop | CenterCropToEven):
        return _crop(np.asarray(photo), _corner((width, height), step), (step.width, step.height))
    sides = (box[2] - box[0], box[3] - box[1]) if box else (width, height)
    size = _resized(sides, step)
    if step.filter == "bilinear_no_antialias":
        return _resize_bilinear(np.asarray(photo), *size)
    return image.resize(size, Image.Resampling[step.filter.upper()], box=box)


def _crop(pixels: NDArray[np.uint8], corner: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Crop, with black beyond the sides, as Pillow's `crop` does; that one asks the application's MAX_IMAGE_PIXELS."""
    (left, top), (width, height) = corner, size
    cropped = np.zeros((height, width, 3), np.uint8)
    part = pixels[max(top, 0) : top + height, max(left, 0) : left + width]
    above, before = max(-top, 0), max(-left, 0)
    cropped[above : above + part.shape[0], before : before + part.shape[1]] = part
    return cropped


def _corner(sides: tuple[float, float], step: CenterCrop | CenterCropToEven) -> tuple[int, int]:
    left, top = (sides[0] - step.width) / 2, (sides[1] - step.height) / 2
    return (round(left), round(top)) if isinstance(step, CenterCropToEven) else (int(left), int(top))


def _resized(sides: tuple[float, float], step: Resize | ResizeShorter) -> tuple[int, int]:
    if isinstance(step, Resize):
        return step.width, step.height
    shorter, longer = sorted(sides)
    scaled = int(step.size * longer / shorter)
    return (step.size, scaled) if sides[0] <= sides[1] else (scaled, step.size)


def _resize_bilinear(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize as OpenCV's `INTER_LINEAR` does: half-pixel centres, two neighbours on each axis, edges repeated."""
    left, right, to_right = _neighbours(pixels.shape[1], width)
    above, below, to_below = _neighbours(pixels.shape[0], height)
    to_right, to_below = to_right[:, None], to_below[:, None, None]

    def across(rows: NDArray[np.intp]) -> NDArray[np.int32]:
        lines = pixels.take(rows, axis=0)
        return lines.take(left, axis=1) * (_ONE - to_right) + lines.take(right, axis=1) * to_right

    # Bits are dropped where OpenCV drops them: rounding once, at the end, gives another level for one pixel in eight.
    mixed = ((across(above) >> 4) * (_ONE - to_below) >> 16) + ((across(below) >> 4) * to_below >> 16)
    return ((mixed + 2) >> 2).astype(np.uint8)


def _neighbours(size: int, out: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]:
    """Find for each of `out` pixels the two source pixels around it, and the weight of the second, 0 to `_ONE`."""
    centre = ((np.arange(out) + 0.5) * (1 / (out / size)) - 0.5).astype(np.float32)
    first = np.floor(centre).astype(np.intp)
    weight = np.rint((centre - first.astype(np.float32)) * np.float32(_ONE)).astype(np.int32)
    return first.clip(0, size - 1), (first + 1).clip(0, size - 1), weight

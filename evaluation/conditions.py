"""Conditions in which a photo reaches a classifier: as it is, from a website, as a screenshot; or saved again."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from aiface_runtime.images import ImageInput, load_rgb

from .dataset import Sample

_WEB_SIDE, _WEB_QUALITY = 512, 75
_HARD_SIDE, _HARD_QUALITY = 256, 50
_SCREEN_SCALE = 1.37  # no small fraction: every pixel of the screenshot is another mixture of its neighbours


class Condition(NamedTuple):
    """What is done to a photo before a classifier sees it.

    Attributes:
        description: Sentence for the report.
        apply: Function from an RGB photo of any size to another, always the same one.
    """

    description: str
    apply: Callable[[Image.Image], Image.Image]


def web(photo: Image.Image) -> Image.Image:
    """Save a photo as a website shows it: its longer side at most 512 pixels, JPEG 75."""
    return _jpeg(_shrink(photo, _WEB_SIDE), _WEB_QUALITY)


def hard(photo: Image.Image) -> Image.Image:
    """Make a screenshot of a small copy: its longer side at most 256 pixels, JPEG 50, enlarged as screens do."""
    small = _jpeg(_shrink(photo, _HARD_SIDE), _HARD_QUALITY)
    size = (round(small.width * _SCREEN_SCALE), round(small.height * _SCREEN_SCALE))
    return small.resize(size, Image.Resampling.BILINEAR)


CONDITIONS = {
    "clean": Condition("as it is", lambda photo: photo),
    "web": Condition(f"longer side at most {_WEB_SIDE} px, JPEG {_WEB_QUALITY}", web),
    "hard": Condition(
        f"longer side at most {_HARD_SIDE} px, JPEG {_HARD_QUALITY}, enlarged {_SCREEN_SCALE} times bilinearly", hard
    ),
}

RESAVED: dict[str, dict[str, Any]] = {  # options of Pillow's `save`
    "JPEG 95": {"format": "JPEG", "quality": 95},
    "PNG": {"format": "PNG", "compress_level": 1},
    "lossless WebP": {"format": "WEBP", "lossless": True, "method": 0},
}


def views(sample: Sample, names: tuple[str, ...]) -> list[ImageInput]:
    """Give a photo in several conditions, decoded once.

    The clean condition is the file itself, so that a model which may decode large JPEGs at a reduced scale does so here
    too; what is saved again is encoded for the same reason.

    Args:
        sample: The photo.
        names: Keys of `CONDITIONS` or `RESAVED`.

    Returns:
        One input a name.

    Raises:
        InputError: The photo cannot be decoded.
    """
    photo = None if names == ("clean",) else Image.fromarray(load_rgb(sample.path))
    inputs: list[ImageInput] = []
    for name in names:
        if photo is None or name == "clean":
            inputs.append(sample.path)
        elif name in CONDITIONS:
            inputs.append(np.asarray(CONDITIONS[name].apply(photo)))
        else:
            inputs.append(_saved(photo, **RESAVED[name]))
    return inputs


def _shrink(photo: Image.Image, side: int) -> Image.Image:
    scale = side / max(photo.size)
    if scale >= 1:
        return photo
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    return photo.resize(size, Image.Resampling.LANCZOS)


def _jpeg(photo: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(_saved(photo, format="JPEG", quality=quality))).convert("RGB")


def _saved(photo: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, **options)
    return buffer.getvalue()

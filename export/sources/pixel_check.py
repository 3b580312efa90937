"""Whether the manifest's steps give a processor's own pixels, seen when a source is opened.

A geometry that the steps only nearly describe is found here in seconds, not by the proof after the conversion.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiface_runtime.preprocess import preprocess

from ..errors import SourceError
from ..source import Preprocessing, first_line

# Width and height in px: odd, of both orientations, larger and smaller than inputs, and smaller than any crop.
_SHAPES = ((523, 301), (97, 231), (23, 38))
_TOLERANCE = 0.01  # of one of the 255 levels
_RULES = {  # of processors that no settings bring to the manifest's steps
    "LevitImageProcessor": "it resizes the shorter side to 256/224 of its size",
    "PerceiverImageProcessor": "it crops a share of the shorter side before it resizes",
    "TextNetImageProcessor": "it rounds the sides up to multiples of 32 before it crops",
    "DonutImageProcessor": "it fits the photo into its size and fills the rest",
}


def odd_shapes() -> list[Image.Image]:
    """Paint three RGB pictures of odd shapes, of many frequencies and without symmetry, the same every time."""
    random = np.random.default_rng(0)
    coarse = [random.integers(0, 256, (height // 7, width // 7, 3), dtype=np.uint8) for width, height in _SHAPES]
    return [
        Image.fromarray(picture).resize(shape, Image.Resampling.BICUBIC)
        for picture, shape in zip(coarse, _SHAPES, strict=True)
    ]


def run_on_odd_shapes(processor: Any, name: str) -> list[NDArray[np.float64]]:
    """Return what a processor makes of the pictures, float64 `[3, height, width]` each.

    Args:
        processor: Image processor of transformers, or its wrapper of timm's transforms.
        name: Name of its file or folder, for messages.

    Raises:
        SourceError: It cannot be run, or gives something else than the pixels of one picture.
    """
    return [_pixels(processor, picture, name) for picture in odd_shapes()]


def check_pixels(preprocessing: Preprocessing, processor: Any, name: str) -> None:
    """See that the manifest's steps and normalisation give the processor's pixels.

    Args:
        preprocessing: Steps and normalisation that a file would have.
        processor: Processor that they describe.
        name: Name of its file or folder, for messages.

    Raises:
        SourceError: They give another size or other pixels.
    """
    order = slice(None, None, -1 if preprocessing.channels == "bgr" else 1)
    for picture, fed in zip(odd_shapes(), run_on_odd_shapes(processor, name), strict=True):
        levels = preprocess(np.asarray(picture), preprocessing.steps)[..., order]
        ours = (levels.astype(np.float64) * preprocessing.scale + preprocessing.offset).transpose(2, 0, 1)
        difference = "another size" if ours.shape != fed.shape else _difference(ours, fed, preprocessing)
        if difference:
            raise SourceError(
                f"{name}: its {type(processor).__name__} prepares photos in a way that a model file cannot say "
                f"({_RULES.get(type(processor).__name__, difference)}); save a processor that resizes, crops at the "
                "centre and normalises, such as CLIPImageProcessor, as the network was trained"
            )


def _difference(ours: NDArray[np.floating], fed: NDArray[np.float64], preprocessing: Preprocessing) -> str:
    levels = float((np.abs(ours - fed) / np.abs(preprocessing.scale)[:, None, None]).max())
    return "" if levels <= _TOLERANCE else f"pixels of a picture of odd shape differ by up to {levels:.0f} levels"


def _pixels(processor: Any, picture: Image.Image, name: str) -> NDArray[np.float64]:
    kind = type(processor).__name__
    tensors = "pt" if hasattr(processor, "val_transforms") else "np"  # timm's wrapper gives nothing else
    try:
        fed = processor(picture, return_tensors=tensors)
        pixels = np.asarray(fed["pixel_values"], dtype=np.float64) if "pixel_values" in fed else None
    except Exception as error:
        raise SourceError(f"{name}: its {kind} cannot prepare a photo ({first_line(error)}); correct it") from error
    if pixels is None:
        raise SourceError(
            f"{name}: its {kind} gives {', '.join(fed)}, not pixel_values; such networks are not exported"
        )
    if pixels.ndim != 4 or pixels.shape[:2] != (1, 3):
        raise SourceError(
            f"{name}: its {kind} gives pixels {list(pixels.shape)} for one photo, not [1, 3, height, width]"
        )
    picture_pixels: NDArray[np.float64] = pixels[0]
    return picture_pixels

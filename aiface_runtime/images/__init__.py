"""Anything a caller has → RGB uint8 `[H, W, 3]`: the only decoder of the project.

Every kind of input goes through the same steps, so the same picture always gives the same pixels: the header is
read and its pixel count checked, the first frame decoded, EXIF orientation applied, transparency laid on white,
samples of more than 8 bits scaled to 8, and whatever colour model there is turned into RGB.
"""

from __future__ import annotations

from .decoding import MAX_ASPECT, DecodedImage, decode, load_rgb
from .formats import PHOTO_SUFFIXES
from .orientation import Box
from .sources import BinaryFile, EncodedImage, ImageInput, describe, read_once

__all__ = [
    "MAX_ASPECT",
    "PHOTO_SUFFIXES",
    "BinaryFile",
    "Box",
    "DecodedImage",
    "EncodedImage",
    "ImageInput",
    "decode",
    "describe",
    "load_rgb",
    "read_once",
]

"""EXIF's orientation: read, undone, and a JPEG decoded at a reduced scale in spite of it."""

from __future__ import annotations

import re
import struct
from typing import TypeAlias

from PIL import Image

Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom, in pixels

TAG = 0x0112

_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # TIFF's types
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Orientations that exchange the sides, and those after which the first pixel is at the right, or below.
_SIDEWAYS, _FROM_RIGHT, _FROM_BELOW = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)


class BrokenExifError(ValueError):
    """An EXIF block that cannot be read, or an orientation that is none."""


def read_orientation(exif: bytes, xmp: bytes = b"") -> int:
    """Read the orientation of a photo: from its EXIF block, and where that has none, from its XMP packet.

    Args:
        exif: EXIF block, that is a TIFF file, perhaps behind `Exif` and two zeros; empty where there is none.
        xmp: XMP packet; empty where there is none.

    Returns:
        An integer from 1, upright, to 8.

    Raises:
        BrokenExifError: The block is broken, or its orientation is not an integer from 1 to 8.
    """
    for _ in range(2):  # some write the start twice
        exif = exif.removeprefix(b"Exif\0\0")
    value = _value(exif) if exif else None
    if value is None and (found := _XMP.search(xmp)):
        value = int(found[1])
    if value is None:
        return 1
    return checked(value)


def checked(value: object) -> int:
    """Return an orientation as it is.

    Raises:
        BrokenExifError: It is not an integer from 1 to 8.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 8:
        raise BrokenExifError(f"orientation {value!r}")
    return value


def of_image(image: Image.Image) -> int:
    """Read the orientation of a picture that the application opened.

    Raises:
        BrokenExifError: As `read_orientation` does.
    """
    xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or b""
    xmp = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        return read_orientation(exif, xmp)
    try:
        value = image.getexif().get(TAG, 1)
    except Exception as error:
        raise BrokenExifError("EXIF that cannot be read") from error
    return checked(value)


def _value(tiff: bytes) -> int | None:
    """Return the orientation in the first directory of a TIFF file, None where it has none."""
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", tiff, entry)
            if tag == TAG:
                if values != 1 or kind not in _INTEGERS:
                    raise BrokenExifError("an orientation that is not an integer")
                return int(struct.unpack_from(order + _INTEGERS[kind], tiff, entry + 8)[0])
    except (KeyError, struct.error) as error:
        raise BrokenExifError("EXIF that cannot be read") from error
    return None


def as_stored(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return what width and height of an upright photo are in the file."""
    return size[::-1] if orientation in _SIDEWAYS else size


def scale_down(image: Image.Image, min_size: tuple[int, int], orientation: int) -> Box | None:
    """Have a JPEG decoded at the smallest scale that leaves `min_size`, and return its box."""
    full_size = image.size
    drafted = image.draft(None, as_stored(min_size, orientation))
    if drafted is None or image.size == full_size:
        return None
    (width, height), (right, bottom) = image.size, drafted[1][2:]
    if orientation in _SIDEWAYS:
        width, height, right, bottom = height, width, bottom, right
    left = width - right if orientation in _FROM_RIGHT else 0
    top = height - bottom if orientation in _FROM_BELOW else 0
    return (left, top, left + right, top + bottom)


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Undo an orientation."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image

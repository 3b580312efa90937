"""EXIF's orientation: read, undone, and a JPEG decoded at a reduced scale in spite of it."""

from __future__ import annotations

from typing import TypeAlias

from PIL import Image, ImageOps

Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom, in pixels

MAX_PIXELS = 1024 * 1024 * 1024 // 4 // 3  # 89,478,485, Pillow's own guard: RGB pixels of a quarter of a gigabyte

# EXIF's orientations that exchange the sides, and those after which the first pixel is at the right, or below.
_ORIENTATION = 0x0112
_SIDEWAYS, _FROM_RIGHT, _FROM_BELOW = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)


def scale_down(image: Image.Image, min_size: tuple[int, int]) -> Box | None:
    """Have a JPEG decoded at the smallest scale that leaves `min_size`, and return its box."""
    if image.format != "JPEG" or image.width * image.height > MAX_PIXELS:
        return None
    orientation, full_size = _orientation(image), image.size
    drafted = image.draft(None, min_size[::-1] if orientation in _SIDEWAYS else min_size)
    if drafted is None or image.size == full_size:
        return None
    (width, height), (right, bottom) = image.size, drafted[1][2:]
    if orientation in _SIDEWAYS:
        width, height, right, bottom = height, width, bottom, right
    left = width - right if orientation in _FROM_RIGHT else 0
    top = height - bottom if orientation in _FROM_BELOW else 0
    return (left, top, left + right, top + bottom)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 a broken EXIF block says nothing of the orientation, as in _upright
        return 1


def upright(image: Image.Image) -> Image.Image:
    """Undo the EXIF orientation."""
    if _orientation(image) == 1:
        return image  # exif_transpose would copy it
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 a broken EXIF block says nothing of the orientation; the picture itself is whole
        return image

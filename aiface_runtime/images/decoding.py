"""From an input to a decoded photo, step by step."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import ImageDecodeError, ImageShapeError, ImageTooLargeError, ImageTypeError
from .orientation import MAX_PIXELS, Box, scale_down, upright
from .samples import to_rgb
from .sources import ImageInput, describe, read_encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ASPECT = 32  # scaling a thin strip by its shorter side would take gigabytes


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """A decoded photo.

    Attributes:
        pixels: uint8 RGB `[H, W, 3]`, values 0 to 255.
        box: Part of `pixels` that the photo fills, to a fraction of a pixel: sides that the scale does not divide are
            filled up. None where the photo was decoded whole.
    """

    pixels: NDArray[np.uint8]
    box: Box | None = None


def load_rgb(source: ImageInput) -> NDArray[np.uint8]:
    """Decode any accepted input whole: the pixels of `decode(source)`.

    Returns:
        uint8 RGB `[H, W, 3]`, values 0 to 255. An array that was passed in is returned without a copy.

    Raises:
        InputError: The photo cannot be used.
    """
    return decode(source).pixels


def decode(source: ImageInput, min_size: tuple[int, int] | None = None) -> DecodedImage:
    """Decode any accepted input, with `min_size` an encoded JPEG only as far as the pixels are needed.

    libjpeg can decode at a half, a quarter or an eighth of the size, in a fraction of the time.

    Args:
        source: A path, encoded bytes, a binary file at the start of a picture, a PIL image, or a uint8 RGB array
            `[H, W, 3]`, which is taken as it is.
        min_size: Width and height that must remain; None for full size.

    Raises:
        InputError: A subclass of it, which names the input and the remedy.
    """
    name = describe(source)
    if isinstance(source, np.ndarray):
        decoded = DecodedImage(_checked_array(source, name))
    elif isinstance(source, Image.Image):
        with _own_errors(name):
            decoded = DecodedImage(np.asarray(_to_upright_rgb(source, name)))
    else:
        decoded = _decode_bytes(read_encoded(source, name), name, min_size)
    height, width, _ = decoded.pixels.shape
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ImageShapeError(f"{name}: {width} x {height} is a strip, not a photo of a face; crop it to the face")
    return decoded


def _decode_bytes(encoded: bytes, name: str, min_size: tuple[int, int] | None) -> DecodedImage:
    with _own_errors(name), Image.open(io.BytesIO(encoded)) as image:
        box = scale_down(image, min_size) if min_size else None
        return DecodedImage(np.asarray(_to_upright_rgb(image, name)), box)


@contextmanager
def _own_errors(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises on a picture into this library's errors."""
    try:
        yield
    except (ImageTooLargeError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ImageDecodeError(
            f"{name}: not a picture in a format that Pillow reads; convert it to JPEG, PNG or WebP"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow refuses at twice MAX_PIXELS before the size can be asked for.
        raise ImageTooLargeError(_too_large(name, f"over {2 * MAX_PIXELS:,}")) from error
    except Exception as error:  # Pillow's plugins raise many builtins on damaged data, SyntaxError among them
        raise ImageDecodeError(
            f"{name}: is damaged or cut short ({error or type(error).__name__}); get the file again"
        ) from error


def _checked_array(array: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageTypeError(f"{name}: an array must be uint8 RGB of shape [H, W, 3], not empty")
    return array


def _to_upright_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise ImageTooLargeError(_too_large(name, f"{image.width} x {image.height}"))
    if 0 in image.size:
        raise ValueError("it has no pixels")
    image.load()
    return to_rgb(upright(image))


def _too_large(name: str, size: str) -> str:
    return f"{name}: {size} pixels; at most {MAX_PIXELS:,} are decoded, resize it first"

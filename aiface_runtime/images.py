"""Anything a caller has → RGB uint8 `[H, W, 3]`: the only decoder of the project.

Every kind of input goes through the same steps, so the same picture always gives the same pixels: the header is
read and its pixel count checked, the first frame decoded, EXIF orientation applied, transparency laid on white,
samples of more than 8 bits scaled to 8, and whatever colour model there is turned into RGB.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import (
    ImageDecodeError,
    ImageNotFoundError,
    ImageReadError,
    ImageShapeError,
    ImageTooLargeError,
    ImageTypeError,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BinaryFile(Protocol):
    """An open binary file, or whatever else has its `read`."""

    def read(self) -> bytes:
        """Return the encoded bytes."""


ImageInput: TypeAlias = Union[
    str, os.PathLike[str], bytes, bytearray, memoryview, BinaryFile, Image.Image, "NDArray[np.uint8]"
]

Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom, in pixels

MAX_PIXELS = 1024 * 1024 * 1024 // 4 // 3  # 89,478,485, Pillow's own guard: RGB pixels of a quarter of a gigabyte

MAX_ASPECT = 32  # scaling a thin strip by its shorter side would take gigabytes

PHOTO_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp"),
        *(".tif", ".tiff", ".avif", ".jp2", ".ppm", ".heic", ".heif"),
    )
)

_BACKGROUND = (255, 255, 255, 255)


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


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """The bytes of a photo under the name of the input that they were read from; may be read again and again.

    Attributes:
        name: Name of the input for messages and records.
        data: The encoded bytes.
    """

    name: str
    data: bytes

    def read(self) -> bytes:
        """Return the encoded bytes."""
        return self.data


def describe(source: object) -> str:
    """Name an input for messages and records: by its path, or by what kind of object it is."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source) if not isinstance(source, str) else source
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"<{len(source):,} bytes>"
    if isinstance(source, Image.Image):
        return f"<{source.mode} image {source.width}x{source.height}>"
    if isinstance(source, np.ndarray):
        return f"<{source.dtype} array {list(source.shape)}>"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else f"<{type(source).__name__}>"


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
        decoded = _decode_bytes(_read(source, name), name, min_size)
    height, width, _ = decoded.pixels.shape
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ImageShapeError(f"{name}: {width} x {height} is a strip, not a photo of a face; crop it to the face")
    return decoded


def read_once(source: ImageInput) -> ImageInput:
    """Return the same photo as something that can be decoded several times; a path or a file is read now.

    Raises:
        InputError: The input cannot be read.
    """
    if isinstance(source, (Image.Image, np.ndarray)):
        return source
    name = describe(source)
    return EncodedImage(name, _read(source, name))


def _checked_array(array: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageTypeError(f"{name}: an array must be uint8 RGB of shape [H, W, 3], not empty")
    return array


def _decode_bytes(encoded: bytes, name: str, min_size: tuple[int, int] | None) -> DecodedImage:
    with _own_errors(name), Image.open(io.BytesIO(encoded)) as image:
        box = _scale_down(image, min_size) if min_size else None
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


def _read(source: object, name: str) -> bytes:
    """Return the encoded bytes of a path, a buffer or a binary file."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    elif isinstance(source, (str, os.PathLike)):
        try:
            data = Path(source).read_bytes()
        except FileNotFoundError as error:
            raise ImageNotFoundError(name) from error
        except IsADirectoryError as error:
            raise ImageReadError(
                f"{name}: is a folder, not an image file; pass a folder of photos, or the files in it"
            ) from error
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
            reason = getattr(error, "strerror", None) or error
            raise ImageReadError(f"{name}: cannot be read ({reason})") from error
    elif callable(getattr(source, "read", None)):
        try:
            data = source.read()  # type: ignore[attr-defined]
        except (OSError, ValueError) as error:  # ValueError: a closed file
            raise ImageReadError(f"{name}: cannot be read ({error})") from error
        if not isinstance(data, bytes):
            raise ImageTypeError(f"{name}: the file is open in text mode; open it with mode 'rb'")
    else:
        raise ImageTypeError(
            f"{name}: pass a path, bytes, a binary file, a PIL image or a uint8 RGB array of shape [H, W, 3]"
        )
    if not data:
        raise ImageDecodeError(f"{name}: is empty (0 bytes); check how the file was written or downloaded")
    return data


# EXIF's orientations that exchange the sides, and those after which the first pixel is at the right, or below.
_ORIENTATION = 0x0112
_SIDEWAYS, _FROM_RIGHT, _FROM_BELOW = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)


def _scale_down(image: Image.Image, min_size: tuple[int, int]) -> Box | None:
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


def _to_upright_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise ImageTooLargeError(_too_large(name, f"{image.width} x {image.height}"))
    if 0 in image.size:
        raise ValueError("it has no pixels")
    image.load()
    return _to_rgb(_upright(image))


def _upright(image: Image.Image) -> Image.Image:
    if _orientation(image) == 1:
        return image  # exif_transpose would copy it
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 a broken EXIF block says nothing of the orientation; the picture itself is whole
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Turn any Pillow mode into RGB, keeping what an eye would see."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16-bit greyscale; convert("RGB") would saturate at 255
        samples = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.rint(samples / 257.0), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":  # float TIFF: [0, 1] by convention, else 8-bit values
        samples = np.nan_to_num(np.asarray(image).astype(np.float64))
        scale = 255.0 if samples.max() <= 1.0 else 1.0
        return Image.fromarray(np.clip(np.rint(samples * scale), 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:  # convert("RGB") would show the colours hidden under transparent pixels
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, _BACKGROUND), rgba).convert("RGB")
    return image.convert("RGB")


def _too_large(name: str, size: str) -> str:
    return f"{name}: {size} pixels; at most {MAX_PIXELS:,} are decoded, resize it first"

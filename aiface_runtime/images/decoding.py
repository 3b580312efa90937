"""From an input to a decoded photo, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile
from PIL._util import DeferredError

from ..errors import (
    ImageDecodeError,
    ImageMemoryError,
    ImageShapeError,
    ImageTooLargeError,
    ImageTypeError,
    InputError,
)
from ..limits import DEFAULT_LIMITS, Limits
from ..prediction import PhotoWarning
from . import orientation as exif
from .colour import is_wide_gamut
from .formats import FORMATS, read_header
from .header import Header, LimitError, UnknownFormatError
from .loading import OutOfDataError, load
from .orientation import Box
from .samples import to_rgb
from .sources import ImageInput, describe, lock_of, one_line, read_encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ASPECT = 32  # scaling a thin strip by its shorter side would take gigabytes
TINY = 64  # pixels of the shorter side: a face in it is hardly more than a dozen blocks of JPEG


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """A decoded photo.

    Attributes:
        picture: The photo in RGB of 8 bits.
        box: Part of it that the photo fills, to a fraction of a pixel: sides that the scale does not divide are filled
            up. None where the photo was decoded whole.
        warnings: Names of what was found out on the way, in `PhotoWarning`'s order.
        missing: Share of the photo for which the file has no data, 0 to 1.
        full_size: Width and height of the whole photo, before it was decoded at a smaller scale.
        quality: Quality of a JPEG on libjpeg's scale, 1 to 100; None of other files and of pictures without one.
    """

    picture: Image.Image | NDArray[np.uint8]
    box: Box | None = None
    warnings: tuple[PhotoWarning, ...] = ()
    missing: float = 0.0
    full_size: tuple[int, int] = field(default=(0, 0))
    quality: int | None = None

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The photo as uint8 RGB `[H, W, 3]`, values 0 to 255."""
        return self.picture if isinstance(self.picture, np.ndarray) else np.asarray(self.picture)


def load_rgb(source: ImageInput, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Decode any accepted input whole: the pixels of `decode(source)`.

    Returns:
        uint8 RGB `[H, W, 3]`, values 0 to 255. An array that was passed in is returned without a copy.

    Raises:
        InputError: The photo cannot be used.
    """
    return decode(source, limits=limits).pixels


def decode(
    source: ImageInput, min_size: tuple[int, int] | None = None, limits: Limits = DEFAULT_LIMITS
) -> DecodedImage:
    """Decode any accepted input, with `min_size` an encoded JPEG only as far as the pixels are needed.

    libjpeg can decode at a half, a quarter or an eighth of the size, in a fraction of the time.

    Args:
        source: A path, encoded bytes, a binary file at the start of a picture, a PIL image, or a uint8 RGB array
            `[H, W, 3]`, which is taken as it is.
        min_size: Width and height that must remain; None for full size.
        limits: The most that the photo may take.

    Raises:
        InputError: A subclass of it, which names the input and the remedy.
    """
    name = describe(source)
    with _own_errors(name), np.errstate(all="ignore"):  # the application's own may raise
        if isinstance(source, np.ndarray):
            return _from_array(source, name)
        if isinstance(source, Image.Image):
            return _from_image(source, name, limits)
        return _from_bytes(read_encoded(source, name, limits.bytes), name, min_size, limits)


@contextmanager
def _own_errors(name: str) -> Iterator[None]:
    """Turn whatever the decoders raise on a picture into this library's errors."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise ImageMemoryError(name) from error
    except UnknownFormatError as error:
        remedy = str(error) or "not a picture in a format that is decoded; convert it to JPEG, PNG or WebP"
        raise ImageDecodeError(f"{name}: {remedy}") from error
    except LimitError as error:
        raise ImageTooLargeError(f"{name}: {error}") from error
    except Exception as error:  # decoders raise many builtins on damaged data, SyntaxError among them
        reason = one_line(error)
        raise ImageDecodeError(f"{name}: is damaged or cut short ({reason}); get the file again") from error


def _from_array(array: NDArray[np.uint8], name: str) -> DecodedImage:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageTypeError(f"{name}: an array must be uint8 RGB of shape [H, W, 3], not empty")
    size = (array.shape[1], array.shape[0])
    _check_shape(size, name)
    return DecodedImage(array, None, _size_warnings(size), full_size=size)


def _from_image(image: Image.Image, name: str, limits: Limits) -> DecodedImage:
    # Reading moves its file and loading changes it, and the application may pass it several times.
    with lock_of(getattr(image, "fp", None) or image):
        pixels = image._im  # noqa: SLF001 `im` would not do: it raises
        if isinstance(pixels, DeferredError):
            raise _closed(name)
        data = _file_of(image, name, limits) if isinstance(image, ImageFile.ImageFile) and pixels is None else None
        if data is None:
            return _from_pixels(image, name, limits)
    return _from_bytes(data, name, None, limits)


def _closed(name: str) -> ImageTypeError:
    return ImageTypeError(f"{name}: was closed or verified before it was decoded; open it again")


def _file_of(image: ImageFile.ImageFile, name: str, limits: Limits) -> bytes | None:
    """Return the file of an undecoded picture; None where another part of it, or another scale, was chosen."""
    if image.format not in FORMATS:
        raise ImageTypeError(f"{name}: {image.format} is not decoded here; convert it first")
    file = image.fp
    if file is None or file.closed:
        raise _closed(name)
    if image.tell() != 0:
        return None
    position = file.tell()
    try:
        file.seek(0)
        data = read_encoded(file, name, limits.bytes)
    finally:
        file.seek(position)
    header = read_header(data)
    is_changed = header.format == "JPEG" and header.open().mode != image.mode  # by `draft`
    return None if is_changed or header.size != image.size else data


def _from_pixels(image: Image.Image, name: str, limits: Limits) -> DecodedImage:
    _check_size(image.size, 12, 0, limits)
    _check_shape(image.size, name)
    image.load()
    warnings = set(_size_warnings(image.size))
    try:
        turn = exif.of_image(image)
    except exif.BrokenExifError:
        turn = 1
        warnings.add(PhotoWarning.BROKEN_EXIF)
    icc = image.info.get("icc_profile")
    if is_wide_gamut(icc if isinstance(icc, bytes) else b"", None):
        warnings.add(PhotoWarning.WIDE_GAMUT)
    picture = to_rgb(exif.upright(image, turn))
    return DecodedImage(picture, None, _ordered(warnings), full_size=picture.size)


def _from_bytes(data: bytes, name: str, min_size: tuple[int, int] | None, limits: Limits) -> DecodedImage:
    header = read_header(data)
    warnings = set(_size_warnings(header.size))
    try:
        turn = exif.read_orientation(header.exif, header.xmp)
    except exif.BrokenExifError:
        turn = 1
        warnings.add(PhotoWarning.BROKEN_EXIF)
    if is_wide_gamut(header.icc, header.primaries):
        warnings.add(PhotoWarning.WIDE_GAMUT)
    _check_shape(header.size, name)
    is_scaled = min_size is not None and header.format == "JPEG"
    if is_scaled and header.size[0] * header.size[1] > limits.scaled_pixels:
        raise LimitError(_too_many(header.size, limits.scaled_pixels))
    if not is_scaled:
        _check_size(header.size, _cost(header, turn), header.fixed_cost + len(data), limits)
    with header.open() as image:
        if image.size != header.size:
            raise ValueError(f"{image.size} pixels instead of {header.size}")
        box = None
        if min_size is not None and header.format == "JPEG":
            box = exif.scale_down(image, min_size, turn)
            _check_size(image.size, _cost(header, turn), header.fixed_cost + len(data), limits)
        missing = max(header.missing, _load(image, header))
        picture = exif.upright(to_rgb(image, header.samples), turn)
    if missing and not header.has_end:
        raise ValueError("its picture is cut short")
    if missing:
        warnings.add(PhotoWarning.TRUNCATED)
    full = header.size if turn < 5 else header.size[::-1]
    return DecodedImage(picture, box, _ordered(warnings), missing, full, header.quality)


def _load(image: Image.Image, header: Header) -> float:
    """Decode a picture and return the share of it for which the file has no data, 0 to 1."""
    try:
        load(image)
    except (OSError, OutOfDataError):
        if header.format == "PNG" and header.filled and (missing := header.filled()):
            return missing
        raise
    return header.filled() if header.filled and _ends_in(image, header.filling) else 0.0


def _ends_in(image: Image.Image, filling: bytes) -> bool:
    """Say whether the last pixels are of that byte alone."""
    width, height = image.size
    count = min(8, width)
    corner = image.resize((count, 1), Image.Resampling.NEAREST, (width - count, height - 1, width, height))
    return not filling or not corner.tobytes().strip(filling)


def _cost(header: Header, turn: int) -> float:
    return max(header.cost, 8 if turn > 1 else 0)


def _check_size(size: tuple[int, int], cost: float, fixed_cost: int, limits: Limits) -> None:
    pixels = size[0] * size[1]
    if pixels > limits.pixels:
        raise LimitError(_too_many(size, limits.pixels))
    if (needed := int(pixels * cost) + fixed_cost) > limits.memory:
        raise LimitError(
            f"{size[0]} x {size[1]} pixels would take {needed / 1e6:,.0f} MB; "
            f"at most {limits.memory / 1e6:,.0f} MB are used, resize it first"
        )


def _too_many(size: tuple[int, int], limit: int) -> str:
    return f"{size[0]} x {size[1]} pixels; at most {limit:,} are decoded, resize it first"


def _check_shape(size: tuple[int, int], name: str) -> None:
    if min(size) <= 0:
        raise ValueError("it has no pixels")
    if max(size) > MAX_ASPECT * min(size):
        raise ImageShapeError(f"{name}: {size[0]} x {size[1]} is a strip, not a photo of a face; crop it to the face")


def _size_warnings(size: tuple[int, int]) -> tuple[PhotoWarning, ...]:
    return (PhotoWarning.TINY,) if min(size) < TINY else ()


def _ordered(warnings: set[PhotoWarning]) -> tuple[PhotoWarning, ...]:
    return tuple(warning for warning in PhotoWarning if warning in warnings)

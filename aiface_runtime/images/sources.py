"""What a caller may pass as a photo, its name for messages, and its encoded bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union

import numpy as np
from PIL import Image

from ..errors import ImageDecodeError, ImageNotFoundError, ImageReadError, ImageTypeError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BinaryFile(Protocol):
    """An open binary file, or whatever else has its `read`."""

    def read(self) -> bytes:
        """Return the encoded bytes."""


ImageInput: TypeAlias = Union[
    str, os.PathLike[str], bytes, bytearray, memoryview, BinaryFile, Image.Image, "NDArray[np.uint8]"
]


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


def read_once(source: ImageInput) -> ImageInput:
    """Return the same photo as something that can be decoded several times; a path or a file is read now.

    Raises:
        InputError: The input cannot be read.
    """
    if isinstance(source, (Image.Image, np.ndarray)):
        return source
    name = describe(source)
    return EncodedImage(name, read_encoded(source, name))


def read_encoded(source: object, name: str) -> bytes:
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

"""What a caller may pass as a photo, its name for messages, and its encoded bytes."""

from __future__ import annotations

import inspect
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union, cast

import numpy as np
from PIL import Image

from ..errors import (
    ImageDecodeError,
    ImageMemoryError,
    ImageNotFoundError,
    ImageReadError,
    ImageTooLargeError,
    ImageTypeError,
    InputError,
)
from ..limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BinaryFile(Protocol):
    """An open binary file, or whatever else has its `read`."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` of the encoded bytes, all of the rest if negative."""


ImageInput: TypeAlias = Union[
    str, os.PathLike[str], bytes, bytearray, memoryview, BinaryFile, Image.Image, "NDArray[np.uint8]"
]

_LONGEST_PATH = 4096  # of Linux
_LONGEST_NAME = 200  # characters of a name that is not a path


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """The bytes of a photo under the name of the input that they were read from; may be read again and again.

    Attributes:
        name: Name of the input for messages and records.
        data: The encoded bytes.
    """

    name: str
    data: bytes

    def read(self, size: int = -1, /) -> bytes:
        """Return the first `size` encoded bytes, all of them if negative."""
        return self.data if size < 0 else self.data[:size]


def describe(source: object) -> str:
    """Name an input for messages and records: by its path, or by what kind of object it is."""
    try:
        return _name(source)
    except Exception:  # noqa: BLE001 an object of the application may raise anything when it is asked for its name
        return f"<{type(source).__name__}>"


def _name(source: object) -> str:
    if isinstance(source, (str, os.PathLike)):
        name = os.fsdecode(source)
        return name if len(name) <= _LONGEST_PATH else f"<{len(name):,} characters>"
    if isinstance(source, (bytes, bytearray)):
        return f"<{len(source):,} bytes>"
    if isinstance(source, memoryview):
        return f"<{source.nbytes:,} bytes>"
    if isinstance(source, Image.Image):
        return f"<{source.mode} image {source.width}x{source.height}>"
    if isinstance(source, np.ndarray):
        return f"<{source.dtype} array {list(source.shape)}>"
    named: object = getattr(source, "name", None)
    return named if isinstance(named, str) else f"<{type(source).__name__}>"


def read_once(source: ImageInput, max_bytes: int = DEFAULT_LIMITS.bytes) -> ImageInput:
    """Return the same photo as something that can be decoded several times; a path or a file is read now.

    Raises:
        InputError: The input cannot be read.
    """
    if isinstance(source, (Image.Image, np.ndarray)):
        return source
    name = describe(source)
    return EncodedImage(name, read_encoded(source, name, max_bytes))


# Objects that belong to the application are read by one thread at a time; two of them may share a lock.
_LOCKS = tuple(RLock() for _ in range(64))


def _renew_locks() -> None:
    """In a forked process nobody is left to release what another thread held."""
    global _LOCKS  # noqa: PLW0603
    _LOCKS = tuple(RLock() for _ in range(64))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def lock_of(source: object) -> RLock:
    """Return the lock under which an object of the application is read."""
    return _LOCKS[id(source) // 64 % len(_LOCKS)]


def read_encoded(source: object, name: str, max_bytes: int) -> bytes:
    """Return the encoded bytes of a path, a buffer or a binary file.

    Raises:
        InputError: They cannot be had, there are none, or more than `max_bytes`.
    """
    try:
        data = _read(source, name, max_bytes)
    except InputError:
        raise
    except MemoryError as error:
        raise ImageMemoryError(name) from error
    except Exception as error:  # a file of the application may raise anything: IncompleteRead, BadZipFile, zlib.error
        raise ImageReadError(f"{name}: cannot be read ({one_line(error)})") from error
    if not data:
        raise ImageDecodeError(f"{name}: is empty (0 bytes); check how the file was written or downloaded")
    if len(data) > max_bytes:
        raise ImageTooLargeError(too_many_bytes(name, len(data), max_bytes))
    if data.startswith((b"data:image/", b"/9j/", b"iVBORw0KGgo")):
        raise ImageDecodeError(f"{name}: is base64 text; pass base64.b64decode of it")
    return data


def one_line(error: Exception) -> str:
    """Return what an error of others says, on one line of at most 200 characters."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:_LONGEST_NAME]


def _read(source: object, name: str, max_bytes: int) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, EncodedImage):
        return source.data
    if isinstance(source, (str, os.PathLike)):
        return _read_path(os.fsdecode(source), name, max_bytes)
    read = getattr(source, "read", None)
    if not callable(read):
        raise ImageTypeError(
            f"{name}: pass a path, bytes, a binary file, a PIL image or a uint8 RGB array of shape [H, W, 3]"
        )
    with lock_of(source):
        return _read_file(cast("Callable[..., object]", read), name, max_bytes)


def _read_path(path: str, name: str, max_bytes: int) -> bytes:
    """Read a regular file; whatever else has a name may block, or never end."""
    if not path:
        raise ImageReadError("'': is an empty path; pass the path of a photo")
    if len(path) > _LONGEST_NAME and ("\n" in path or path.startswith(("data:image/", "/9j/", "iVBORw0KGgo"))):
        raise ImageTypeError(f"<{len(path):,} characters>: is base64 text, not a path; pass base64.b64decode of it")
    try:
        state = Path(path).stat()
    except FileNotFoundError as error:
        raise ImageNotFoundError(name) from error
    _check_kind(state, name, max_bytes)
    # The name may belong to another file by now, so it is looked at again, and opened so that a FIFO cannot block.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:  # noqa: PTH123 a descriptor has no path
        _check_kind(os.fstat(descriptor), name, max_bytes)
        return file.read(max_bytes + 1)


def _check_kind(state: os.stat_result, name: str, max_bytes: int) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise ImageReadError(f"{name}: is a folder, not an image file; pass a folder of photos, or the files in it")
    if not stat.S_ISREG(state.st_mode):
        raise ImageReadError(f"{name}: is no regular file; read it yourself and pass its bytes, or pass - for stdin")
    if state.st_size > max_bytes:
        raise ImageTooLargeError(too_many_bytes(name, state.st_size, max_bytes))


def _read_file(read: Callable[..., object], name: str, max_bytes: int) -> bytes:
    """Read a file of the application to its end, or a byte further than is allowed."""
    gathered, takes_size = io.BytesIO(), True
    while (count := gathered.tell()) <= max_bytes:
        try:
            piece = read(max_bytes + 1 - count) if takes_size else read()
        except TypeError:
            if not takes_size or count:
                raise
            takes_size = False
            continue
        if not gathered.write(_checked_piece(piece, name)) or not takes_size:
            break
    return gathered.getvalue()


def _checked_piece(piece: object, name: str) -> bytes:
    if inspect.iscoroutine(piece):
        piece.close()
        raise ImageTypeError(f"{name}: is read with await; pass its .file, or the bytes of `await upload.read()`")
    if isinstance(piece, str):
        raise ImageTypeError(f"{name}: the file is open in text mode; open it with mode 'rb'")
    if not isinstance(piece, (bytes, bytearray, memoryview)):
        raise ImageTypeError(f"{name}: its read() returned {type(piece).__name__}, not bytes")
    return bytes(piece)


def too_many_bytes(name: str, count: int, max_bytes: int) -> str:
    """Return the message of a photo that has more bytes than are read."""
    return f"{name}: {count:,} bytes; at most {max_bytes:,} are read, save it smaller or raise Limits(bytes=…)"

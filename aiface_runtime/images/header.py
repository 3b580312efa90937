"""What a file says of its picture before any of it is decoded, and the parts of it that are."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import IO, TypeAlias, cast

from PIL import Image

from .samples import Samples

MAX_PARTS = 50_000  # chunks, segments or blocks of one file; walking them takes some 50 ms
MAX_METADATA = 4 * 2**20  # bytes of one text, profile or EXIF block after decompression; a longer one is not read

Part: TypeAlias = bytes | memoryview


class UnknownFormatError(Exception):
    """None of the formats that are decoded."""


class LimitError(Exception):
    """Decoding would cost more than is allowed; the message lacks the name of the input."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its first picture.

    Attributes:
        format: Pillow's name of the format.
        size: Width and height in pixels.
        open: Makes the undecoded picture, of that size, which has no metadata.
        cost: Bytes that decoding takes for each pixel at its highest.
        fixed_cost: Bytes that it takes beside those and the encoded photo.
        exif: EXIF block, empty where there is none.
        xmp: XMP packet, empty where there is none.
        icc: ICC profile, empty where there is none.
        primaries: Primaries by their number in ITU-T H.273, where the file names them.
        quality: Quality of a JPEG on libjpeg's scale, 1 to 100; None of other formats.
        missing: Share of the picture that the file is known to lack, 0 to 1.
        has_end: Whether the picture's end is marked, in a format that can do without.
        filled: Share of the picture, 0 to 1, that the decoder fills for want of data; None where it does not do that.
        filling: Byte that it fills it with; empty where that is not known.
        samples: Meaning of samples of one channel; None where Pillow's mode says it.
    """

    format: str
    size: tuple[int, int]
    open: Callable[[], Image.Image]
    cost: float
    fixed_cost: int = 0
    exif: bytes = b""
    xmp: bytes = b""
    icc: bytes = b""
    primaries: int | None = None
    quality: int | None = None
    missing: float = 0.0
    has_end: bool = True
    filled: Callable[[], float] | None = None
    filling: bytes = b""
    samples: Samples | None = None


class _PartsFile(io.RawIOBase):
    """A file that reads its parts one after the other."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self._parts = [memoryview(part) for part in parts]
        self._ends = list(accumulate(map(len, self._parts)))
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, all of the rest if negative; fewer only at the end."""
        end = self._ends[-1] if size < 0 else min(self._position + size, self._ends[-1])
        pieces = []
        while self._position < end:
            index = bisect_right(self._ends, self._position)
            start = self._ends[index] - len(self._parts[index])
            pieces.append(self._parts[index][self._position - start : end - start])
            self._position += len(pieces[-1])
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as files do, and return the new position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._ends[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position


def parts_file(parts: Sequence[Part]) -> IO[bytes]:
    """Make a readable file of parts of others, which are not copied."""
    return cast("IO[bytes]", _PartsFile(parts))


def joined(first: bytes, second: bytes) -> bytes:
    """Join parts of one block of metadata; nothing where it becomes longer than any that is read."""
    return first + second if len(first) + len(second) <= MAX_METADATA else first


def check_parts(count: int, what: str) -> None:
    """Refuse a file of too many parts.

    Raises:
        LimitError: It has more than `MAX_PARTS`.
    """
    if count > MAX_PARTS:
        raise LimitError(f"over {MAX_PARTS:,} {what}; save it again")

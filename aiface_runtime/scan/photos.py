"""The photos of a scan: found once, read once, and known again by their content."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from ..errors import InputError
from ..folders import Unreadable, is_folder, photos_below, was_read
from ..images.sources import read_encoded

Found = str | Unreadable


def find(inputs: Sequence[str]) -> Iterator[Found]:
    """Yield the photos that files and folders name, each once also where folders overlap, in a stable order."""
    folders: set[tuple[int, int]] = set()
    named: set[tuple[str, str]] = set()
    real = lru_cache(maxsize=1024)(os.path.realpath)  # many photos lie in one folder

    def location(name: str) -> tuple[str, str]:
        """Return the folder, wherever links lead, and the name in it; a link to a photo is one of its own."""
        folder, last = os.path.split(name)
        return real(folder), last

    for name in inputs:
        if is_folder(name):
            for photo in photos_below(name, folders):
                if not named or isinstance(photo, Unreadable) or location(photo) not in named:
                    yield photo
        elif (where := location(name)) not in named and not was_read(name, folders):
            named.add(where)
            yield name


def key_of(name: str) -> bytes:
    """Return what stands for a path, however it is spelled from here: 16 bytes, so that millions can be held."""
    return hashlib.blake2b(os.fsencode(os.path.abspath(name)), digest_size=16).digest()  # noqa: PTH100 `..` goes too


class DuplicateError(InputError):
    """The content was answered already, or is being answered."""


class Contents:
    """The contents that a scan has met, by hash; safe to share between threads."""

    def __init__(self) -> None:
        self._records: dict[bytes, int | None] = {}
        self._lock = threading.Lock()

    def is_new(self, sha256: bytes) -> bool:
        """Take note of a content; the first one who asks is to answer for it."""
        with self._lock:
            if sha256[:16] in self._records:
                return False
            self._records[sha256[:16]] = None
            return True

    def record_of(self, sha256: bytes) -> int | None:
        """Return where the record of a content begins; None before it is written."""
        return self._records.get(sha256[:16])

    def settle(self, sha256: bytes, record: int) -> None:
        """Say where the record of a content begins; the first one stays."""
        with self._lock:
            if self._records.get(sha256[:16]) is None:
                self._records[sha256[:16]] = record


class PhotoFile:
    """A file that is read once, when its turn comes, in the thread that decodes it.

    Args:
        name: Path as it was found.
        max_bytes: Most bytes that are read.
        contents: Contents that were met before, to leave those to; None to read any.
        problem: Reason why it cannot be read, where that is known already.

    Attributes:
        size: Length in bytes before it was read; None until then, or where there is no file.
        mtime_ns: Time of its last change, likewise.
        sha256: SHA-256 of its content; None until then, or where it cannot be read.
    """

    __slots__ = ("_contents", "_is_read", "_max_bytes", "_problem", "mtime_ns", "name", "sha256", "size")

    def __init__(self, name: str, max_bytes: int, contents: Contents | None = None, problem: str | None = None) -> None:
        self.name, self._max_bytes, self._contents, self._problem = name, max_bytes, contents, problem
        self._is_read = False
        self.size: int | None = None
        self.mtime_ns: int | None = None
        self.sha256: bytes | None = None

    def read(self, _: int = -1, /) -> bytes:
        """Return the whole content, and nothing when asked again.

        Raises:
            DuplicateError: It was met before.
            OSError, InputError: It cannot be read.
        """
        if self._problem is not None:
            raise OSError(self._problem)
        if self._is_read:
            return b""
        self._is_read = True
        # Before the content: a file that changes in between is read again by the next scan.
        self.size, self.mtime_ns = state_of(self.name) or (None, None)
        data = read_encoded(self.name, self.name, self._max_bytes)
        self.sha256 = hashlib.sha256(data).digest()
        if self._contents is not None and not self._contents.is_new(self.sha256):
            raise DuplicateError(f"{self.name}: has the content of another photo")
        return data


def state_of(name: str) -> tuple[int, int] | None:
    """Return the size and the time of the last change of a file; None where there is none."""
    try:
        status = Path(name).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns

"""What the arguments of a command name: files, folders of photos, standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..images import ImageInput


def photo_of(argument: str) -> ImageInput:
    """Return what an argument names: a path, or standard input for `-`."""
    return _Stdin() if argument == "-" else argument


def expand(arguments: Sequence[str]) -> Iterator[ImageInput]:
    """Yield the photos that arguments name, those of a folder in a stable order.

    A folder that holds none, or cannot be read, is an `Unreadable`.
    """
    for argument in arguments:
        if not os.path.isdir(argument) or _looks_like_photo(argument):
            yield photo_of(argument)
            continue
        found = False
        for photo in _photos(argument):
            found = True
            yield photo
        if not found:
            yield Unreadable(argument, "no photos in this folder")


def _photos(top: str) -> Iterator[ImageInput]:
    """Find the photos below a folder; hidden files and folders are left alone.

    Folders behind symbolic links come after all others, and no folder is read twice.
    """
    seen: set[tuple[int, int]] = set()
    problems: list[OSError] = []
    waiting = [top]
    for start in waiting:  # which grows
        for parent, folders, files in os.walk(start, onerror=problems.append):
            if not _is_new(parent, seen):
                folders.clear()
                continue
            names = sorted(name for name in folders if not name.startswith("."))
            misnamed = [name for name in names if _looks_like_photo(name)]
            folders[:] = [name for name in names if name not in misnamed]
            waiting += [path for name in folders if Path(path := os.path.join(parent, name)).is_symlink()]
            for name in sorted(files + misnamed):
                if _looks_like_photo(name) and not name.startswith("."):
                    yield os.path.join(parent, name)
    yield from (Unreadable(error.filename, error.strerror or str(error)) for error in problems)


def _is_new(folder: str, seen: set[tuple[int, int]]) -> bool:
    """Take note of a folder by its device and number; one that has just vanished holds nothing that can be read."""
    try:
        status = Path(folder).stat()
    except OSError:
        return True
    key = status.st_dev, status.st_ino
    new = key not in seen
    seen.add(key)
    return new


def _looks_like_photo(name: str) -> bool:
    from ..images import PHOTO_SUFFIXES

    return Path(name).suffix.lower() in PHOTO_SUFFIXES


class _Stdin:
    """Standard input as a binary file that is named as the user named it."""

    name = "-"

    def read(self, size: int = -1) -> bytes:
        if sys.stdin is None:
            raise OSError("standard input is closed")
        return sys.stdin.buffer.read(size)


class Unreadable:
    """A folder without a photo that could be read.

    Args:
        name: The folder as the user named it.
        reason: Reason why there is nothing.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason

    def read(self, _: int = -1) -> bytes:
        """Raise what makes a failure of it."""
        raise OSError(self.reason)

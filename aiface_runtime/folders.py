"""The photos below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn


class Unreadable:
    """A folder without a photo that could be read, as an input whose answer is a failure.

    Args:
        name: The folder as the user named it.
        reason: Reason why there is nothing.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason

    def read(self, _: int = -1) -> NoReturn:
        """Raise what makes a failure of it."""
        raise OSError(self.reason)


def is_folder(path: str) -> bool:
    """Say whether a path is a folder to look for photos in; one that is named as a photo is not."""
    return os.path.isdir(path) and not looks_like_photo(path)


def photos_below(top: str, seen: set[tuple[int, int]] | None = None) -> Iterator[str | Unreadable]:
    """Yield the photos below a folder in a stable order; hidden files and folders are left alone.

    Folders behind symbolic links come after all others, and no folder is read twice. A folder that holds no photo, or
    cannot be read, is an `Unreadable`.

    Args:
        top: The folder as the user named it.
        seen: Device and number of folders that were read before and are left out, to which those read now are added.
    """
    seen = set() if seen is None else seen
    if _key(top) in seen:
        return
    found = False
    for photo in _walk(top, seen):
        found = True
        yield photo
    if not found:
        yield Unreadable(top, "no photos in this folder")


def _walk(top: str, seen: set[tuple[int, int]]) -> Iterator[str | Unreadable]:
    problems: list[OSError] = []

    def note(error: OSError) -> None:
        if _is_new(error.filename, seen):
            problems.append(error)

    waiting = [top]
    for start in waiting:  # which grows
        for parent, folders, files in os.walk(start, onerror=note):
            if not _is_new(parent, seen):
                folders.clear()
                continue
            names = sorted(name for name in folders if not name.startswith("."))
            misnamed = [name for name in names if looks_like_photo(name)]
            folders[:] = [name for name in names if name not in misnamed]
            waiting += [path for name in folders if Path(path := os.path.join(parent, name)).is_symlink()]
            for name in sorted(files + misnamed):
                if _is_listed(name):
                    yield os.path.join(parent, name)
    yield from (Unreadable(error.filename, error.strerror or str(error)) for error in problems)


def was_read(photo: str, seen: set[tuple[int, int]]) -> bool:
    """Say whether the folder of a photo is among those that were read, so that the photo was found in it."""
    folder, name = os.path.split(photo)
    return _is_listed(name) and _key(folder or os.curdir) in seen and os.path.lexists(photo)


def _is_listed(name: str) -> bool:
    return looks_like_photo(name) and not name.startswith(".")


def _is_new(folder: str, seen: set[tuple[int, int]]) -> bool:
    """Take note of a folder by its device and number; one that has just vanished holds nothing that can be read."""
    key = _key(folder)
    new = key is None or key not in seen
    if key is not None:
        seen.add(key)
    return new


def _key(folder: str) -> tuple[int, int] | None:
    try:
        status = Path(folder).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def looks_like_photo(name: str) -> bool:
    """Say whether a name ends as those of photos do."""
    from .images import PHOTO_SUFFIXES

    return Path(name).suffix.lower() in PHOTO_SUFFIXES

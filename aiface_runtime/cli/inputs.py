"""What the arguments of a command name: files, folders of photos, standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..folders import is_folder, photos_below

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
        if is_folder(argument):
            yield from photos_below(argument)
        else:
            yield photo_of(argument)


class _Stdin:
    """Standard input as a binary file that is named as the user named it."""

    name = "-"

    def read(self, size: int = -1) -> bytes:
        if sys.stdin is None:
            raise OSError("standard input is closed")
        return sys.stdin.buffer.read(size)

"""Pictures in two fixed halves: one to fit on, one held back to measure on."""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias

Half: TypeAlias = Literal["fitted", "held"]
HALVES: tuple[Half, ...] = ("fitted", "held")


def half_of(name: str) -> Half:
    """Give the half that a picture belongs to, always the same one, by the MD5 of its file name.

    Args:
        name: File name or path; the folders do not matter.
    """
    digest = hashlib.md5(name.rpartition("/")[2].encode(), usedforsecurity=False).digest()
    return HALVES[digest[-1] % 2]

"""What the commands share: their photos, and progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from aiface_runtime.cli.progress import Progress

if TYPE_CHECKING:
    from aiface_runtime.errors import InputError

MODEL = "an .onnx file or the name of a bundled model"
PHOTOS = "a folder with real/ and ai/, a manifest.csv, or its folder"


def progress(items: Iterable[Any]) -> Iterator[Any]:
    """Pass items through and show on stderr how far they are."""
    waiting = list(items)
    with Progress(iter(waiting), len(waiting)) as bar:
        yield from bar


class LeftOut:
    """Names photos that cannot be decoded on stderr, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: InputError) -> None:
        """Take note of one."""
        self.count += 1
        print(f"aiface-evaluate: left out: {error}", file=sys.stderr)

    def report(self, total: int) -> None:
        """Say how many there were."""
        if self.count:
            print(
                f"aiface-evaluate: {self.count} of {total} photos could not be decoded and are left out",
                file=sys.stderr,
            )

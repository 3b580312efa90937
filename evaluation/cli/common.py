"""What the commands share: their photos, and progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiface_runtime.cli.progress import Progress

from ..errors import DataError

if TYPE_CHECKING:
    from aiface_runtime.errors import InputError

    from ..dataset import Sample

MODEL = "an .onnx file or the name of a bundled model"
PHOTOS = "a folder with real/ and ai/, a manifest.csv, or its folder"


def progress(items: Iterable[Any]) -> Iterator[Any]:
    """Pass items through and show on stderr how far they are."""
    waiting = list(items)
    with Progress(iter(waiting), len(waiting)) as bar:
        yield from bar


def choose_splits(samples: Sequence[Sample], splits: Sequence[str], photos: Path) -> list[Sample]:
    """Take the photos of some splits; all where the data has no splits.

    Raises:
        DataError: There are none, one label is missing, or a file is not there.
    """
    from ..dataset import LABELS, check_files

    present = sorted({sample.split for sample in samples} - {""})
    chosen = [sample for sample in samples if not present or sample.split in splits]
    if not chosen:
        raise DataError(f"{photos}: has no photos of the split {' or '.join(splits)}, only of {', '.join(present)}")
    if missing := set(LABELS) - {sample.label for sample in chosen}:
        raise DataError(f"{photos}: has no photos labelled {' or '.join(missing)}; photos of both labels are needed")
    check_files(chosen)
    return chosen


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

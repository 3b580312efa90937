"""What the commands share: their photos, and progress on stderr."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiface_runtime.cli.program import complain
from aiface_runtime.cli.progress import Progress
from aiface_runtime.errors import OutputError, UsageError

from ..tasks import task_names, task_sources

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


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how to choose sources; `of_chosen_sources` reads it."""
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--sources", metavar="NAME,NAME", help="measure on photos of these sources alone")
    chosen.add_argument("--task", choices=task_names(), help="measure on the sources of a named task alone")


def of_chosen_sources(samples: Sequence[Sample], args: argparse.Namespace) -> list[Sample]:
    """Take the photos of the sources that were asked for, all where none were.

    Raises:
        DataError: No photo has a source that is asked for.
    """
    from ..dataset import choose_sources

    named = [name for name in (args.sources or "").split(",") if name]
    sources = task_sources(args.task) if args.task else named
    return choose_sources(samples, sources, args.photos) if sources else list(samples)


def check_json_output(output: Path | None) -> None:
    """Find out before minutes of work that a record and its page cannot be written.

    Raises:
        UsageError: Not a `.json` file.
        OutputError: There is no such folder, or nothing can be written there.
    """
    if output is None:
        return
    if output.suffix != ".json":
        raise UsageError(f"{output}: must end in .json; the page lies beside it")
    if output.is_dir() or not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise OutputError(f"{output}: cannot be written; its folder must be there and writable")


def write_pages(output: Path | None, record: str, page: str) -> None:
    """Write FILE.json and FILE.md, where there is an output.

    Raises:
        OutputError: They cannot be written.
    """
    if output is None:
        return
    try:
        output.write_text(record + "\n", encoding="utf-8")
        output.with_suffix(".md").write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{output}: cannot be written ({error.strerror or error})") from error


class LeftOut:
    """Names photos that cannot be decoded on stderr, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: InputError) -> None:
        """Take note of one."""
        self.count += 1
        complain("aiface-evaluate", f"left out: {error}")

    def report(self, total: int) -> None:
        """Say how many there were."""
        if self.count:
            complain("aiface-evaluate", f"{self.count} of {total} photos could not be decoded and are left out")

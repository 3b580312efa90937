"""How far long work is, on stderr: a bar at a terminal, and for a scan elsewhere a line now and then."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from .program import complain

if TYPE_CHECKING:
    from ..scan import Tally

T = TypeVar("T")

_MIN_SECONDS = 1.0  # of work before a bar is shown
_REFRESH = 0.1  # seconds between two drawings
_LINE_SECONDS = 60.0  # between two lines where there is no terminal
_WIDTH = 30  # characters


class Bar:
    """A line at a terminal that is drawn again and again; nothing off a terminal or when the work is short."""

    def __init__(self) -> None:
        self.started = self._drawn = time.monotonic()
        self._shown = False
        self.is_terminal = sys.stderr.isatty()

    @property
    def is_due(self) -> bool:
        """Whether enough time has gone by to draw."""
        now = time.monotonic()
        return self.is_terminal and now - self.started > _MIN_SECONDS and now - self._drawn > _REFRESH

    def draw(self, done: int, total: int | None, text: str) -> None:
        """Draw the line; where the total is not known there is no bar in it."""
        filled = _WIDTH * done // total if total else 0
        bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {done}/{total}" if total else f"{done}"
        line = f"{bar}, {text} "[: max(20, shutil.get_terminal_size().columns - 1)]
        print(f"{_CLEAR if self._shown else ''}\r{line}", end="", file=sys.stderr, flush=True)
        self._drawn, self._shown = time.monotonic(), True

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            print(_CLEAR, end="", file=sys.stderr, flush=True)
            self._shown = False


_CLEAR = "\r\x1b[2K"


class Progress(Generic[T]):
    """An iterator that passes items on and shows how many are done.

    Args:
        items: Items to pass on.
        total: Number of items there will be.
    """

    def __init__(self, items: Iterator[T], total: int) -> None:
        self._items, self._total, self._done = items, total, 0
        self._bar = Bar()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._done and self._bar.is_due:
            left = (time.monotonic() - self._bar.started) / self._done * (self._total - self._done)
            self._bar.draw(self._done, self._total, f"{left:.0f} s left")
        item = next(self._items)  # the bar stands while this works
        self._bar.clear()  # what the caller prints for this item starts on a clean line
        self._done += 1
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.clear()


class ScanProgress:
    """Shows how far a scan is: at a terminal a bar, elsewhere a line a minute."""

    def __init__(self) -> None:
        self._bar = Bar()
        self._said = self._bar.started

    def __call__(self, tally: Tally) -> None:
        """Show it, where it is time."""
        if self._bar.is_due:
            self._bar.draw(tally.kept + tally.answered, tally.total, _text_of(tally))
        elif not self._bar.is_terminal and time.monotonic() - self._said > _LINE_SECONDS:
            self._said = time.monotonic()
            of = f" of {tally.total:,}" if tally.total else ""
            complain("aiface", f"{tally.kept + tally.answered:,}{of} photos, {_text_of(tally)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.clear()


def _text_of(tally: Tally) -> str:
    left = ""
    if tally.total is not None and tally.answered:
        left = f", {_duration(max(0, tally.total - tally.kept - tally.answered) / tally.rate)} left"
    counts = [f"{name} {count:,}" for name, count in sorted(tally.verdicts.items())]
    failed = [f"failed {sum(tally.failures.values()):,}"] if tally.failures else []
    return f"{tally.rate:.1f} photos/s{left}: {', '.join(counts + failed)}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

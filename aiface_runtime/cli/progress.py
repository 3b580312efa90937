"""A progress bar on stderr, for long work at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_MIN_SECONDS = 1.0  # of work before a bar is shown
_REFRESH = 0.1  # seconds between two drawings
_WIDTH = 30  # characters


class Progress(Generic[T]):
    """An iterator that passes items on and shows how many are done; nothing off a terminal or when the work is short.

    Args:
        items: Items to pass on.
        total: Number of items there will be.
    """

    def __init__(self, items: Iterator[T], total: int) -> None:
        self._items, self._total, self._done = items, total, 0
        self._started = self._drawn = time.monotonic()
        self._shown = False
        self._terminal = sys.stderr.isatty()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        now = time.monotonic()
        if self._terminal and self._done and now - self._started > _MIN_SECONDS and now - self._drawn > _REFRESH:
            self._draw(now)
        item = next(self._items)  # the bar stands while this works
        self._clear()  # what the caller prints for this item starts on a clean line
        self._done += 1
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def _draw(self, now: float) -> None:
        filled = _WIDTH * self._done // self._total
        left = (now - self._started) / self._done * (self._total - self._done)
        bar = "#" * filled + "." * (_WIDTH - filled)
        print(f"\r[{bar}] {self._done}/{self._total}, {left:.0f} s left ", end="", file=sys.stderr, flush=True)
        self._drawn, self._shown = now, True

    def _clear(self) -> None:
        if self._shown:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._shown = False

"""Many photos: taken by the batch, shared out among threads and runs of the model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from .engine import Engine

# Photos a run: what a run takes, 10 to 20 MB a photo, onnxruntime keeps. On a CPU more than two leave its caches, and
# each photo takes longer.
_MOST_A_RUN, _MOST_ELSEWHERE = {"cpu": 2}, 64

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """Threads that share out work; the caller itself where there is one core.

    Decoding and the model let go of the interpreter's lock, so threads keep all cores busy.
    """

    def __init__(self, count: int) -> None:
        self._count, self._owner = count, os.getpid()
        self._pool: ThreadPoolExecutor | None = None

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return what a function gives for each item, in order."""
        if self._count == 1 or len(items) < 2:
            return [function(item) for item in items]
        if self._pool is None or self._owner != os.getpid():  # a fork has none of the threads
            from concurrent.futures import ThreadPoolExecutor  # not for one photo: start-up counts

            self._pool, self._owner = ThreadPoolExecutor(self._count, thread_name_prefix="aiface"), os.getpid()
        return list(self._pool.map(function, items))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool and self._owner == os.getpid():
            self._pool.shutdown(cancel_futures=True)


def taken(images: Iterator[T], size: int) -> Iterator[tuple[list[T], Exception | None]]:
    """Take photos by the batch; an error of the iterator comes with those that it gave before."""
    problem: Exception | None = None
    while problem is None:
        batch: list[T] = []
        try:
            batch.extend(islice(images, size))  # keeps what came before an error
        except Exception as error:  # noqa: BLE001 the caller's own, raised when its turn comes
            problem = error
        if not batch and problem is None:
            return
        yield batch, problem


def parts(items: Sequence[T], engine: Engine) -> list[Sequence[T]]:
    """Share items out among runs of about the same length, in order: as many at once as there are cores."""
    at_once = engine.parallel_runs
    rounds = -(-len(items) // (at_once * _MOST_A_RUN.get(engine.device, _MOST_ELSEWHERE)))
    size = -(-len(items) // (at_once * rounds)) if items else 1
    return [items[start : start + size] for start in range(0, len(items), size)]


def forget_frames(error: BaseException | None) -> None:
    """Drop the tracebacks of an error and of those that it comes from: their frames hold the photo's bytes."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__

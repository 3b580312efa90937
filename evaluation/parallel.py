"""Work on photos by all cores, while the results are used one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from aiface_runtime.cpu_limits import usable_cores

T = TypeVar("T")
R = TypeVar("R")


def ahead(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Do `map` by as many threads as there are cores, in order and lazily: each thread is two items ahead at most.

    Decoding, resizing and encoding let go of the interpreter's lock.

    Raises:
        Exception: An error of `function`, when its item's turn comes.
    """
    workers = usable_cores()
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="aiface-evaluation") as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

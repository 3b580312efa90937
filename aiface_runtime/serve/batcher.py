"""Photos of many requests, judged together: a queue, and threads that each run the model on a batch of it."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..images import EncodedImage

if TYPE_CHECKING:
    from ..prediction import Failure, Prediction

    Answer: TypeAlias = Prediction | Failure

# Batches: where one waits, for its last decoder, its last run or the event loop, the other one keeps the cores busy.
AT_ONCE = 2
_SMOOTHING = 0.2  # share of the newest batch in the time that a photo is expected to take
_MAX_RETRY = 60  # seconds


@dataclass(slots=True, eq=False)
class _Waiting:
    """A photo in the queue, since when it waits, and where its answer goes."""

    photo: EncodedImage
    since: float
    answer: asyncio.Future[Answer]


class Batcher:
    """Collects photos into batches; used by one event loop.

    A batch begins when less than `AT_ONCE` are being judged, with what is in the queue by then; where that is less than
    a batch, it waits for more until its first photo has waited for `max_wait`.

    Args:
        judge: Answers for photos in their order; run in threads, for `AT_ONCE` batches at a time.
        max_batch: Most photos of a batch.
        max_wait: Seconds that a photo waits for others.
        observe: Told the number of photos of each batch and the seconds that it took.
    """

    def __init__(
        self,
        judge: Callable[[Sequence[EncodedImage]], list[Answer]],
        max_batch: int,
        max_wait: float,
        observe: Callable[[int, float], None],
    ) -> None:
        self._judge, self._max_batch, self._max_wait, self._observe = judge, max_batch, max_wait, observe
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._collecting = asyncio.Lock()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="aiface-batch")
        self._seconds_per_photo = 0.02
        self._last_end = 0.0

    def submit(self, photos: Sequence[EncodedImage]) -> list[asyncio.Future[Answer]]:
        """Put photos into the queue; whoever cancels a future takes its photo out again."""
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(photo, loop.time(), loop.create_future()) for photo in photos]
        self._queue.extend(waiting)
        self._arrived.set()
        return [item.answer for item in waiting]

    def retry_after(self, photos: int) -> int:
        """Estimate the whole seconds, at least 1, until that many photos are answered."""
        return min(_MAX_RETRY, max(1, math.ceil(photos * self._seconds_per_photo)))

    async def run(self) -> None:
        """Judge batches until cancelled."""
        await asyncio.gather(*(self._run() for _ in range(AT_ONCE)))

    async def close(self, seconds: float) -> bool:
        """Wait for the batches that are being judged; False where they do not end in time."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.to_thread(self._threads.shutdown)
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        while True:
            async with self._collecting:
                batch = await self._collect()
            if batch:
                await self._answer(batch)

    async def _collect(self) -> list[_Waiting]:
        await self._more()
        until = self._queue[0].since + self._max_wait
        while len(self._queue) < self._max_batch:
            try:
                async with asyncio.timeout_at(until):
                    await self._more(len(self._queue))
            except TimeoutError:
                break
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._max_batch:
            item = self._queue.popleft()
            if not item.answer.done():  # its request has ended
                batch.append(item)
        return batch

    async def _more(self, than: int = 0) -> None:
        while len(self._queue) <= than:
            self._arrived.clear()
            await self._arrived.wait()

    async def _answer(self, batch: list[_Waiting]) -> None:
        try:
            answers = await self._judged([item.photo for item in batch])
        except Exception as error:  # noqa: BLE001 the device's, or no memory: raised to the request
            if len(batch) == 1:
                _settle(batch[0], error)
            else:  # a photo that the device fails for must not be the failure of other clients
                for item in batch:
                    if not item.answer.done():
                        await self._answer([item])
            return
        for item, answer in zip(batch, answers, strict=True):
            _settle(item, answer)

    async def _judged(self, photos: list[EncodedImage]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            return await loop.run_in_executor(self._threads, self._judge, photos)
        finally:
            self._took(len(photos), start, loop.time())

    def _took(self, photos: int, start: float, end: float) -> None:
        """Note how long a batch took, and how long a photo did since the last batch ended, for several overlap."""
        self._observe(photos, end - start)
        seconds = (end - max(start, self._last_end)) / photos
        self._seconds_per_photo += _SMOOTHING * (seconds - self._seconds_per_photo)
        self._last_end = end


def _settle(item: _Waiting, answer: Answer | Exception) -> None:
    """Give an answer, or an error, to who still waits for it."""
    if item.answer.done():
        return
    if isinstance(answer, Exception):
        item.answer.set_exception(answer)
    else:
        item.answer.set_result(answer)

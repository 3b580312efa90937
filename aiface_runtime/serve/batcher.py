"""Photos of many requests, judged together: a queue, and one thread that runs the model on a batch of it."""

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

    A batch begins when the one before has ended, with what is in the queue by then; where that is less than a batch,
    it waits for more until its first photo has waited for `max_wait`.

    Args:
        judge: Answers for photos in their order; run in a thread, for one batch at a time.
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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aiface-batch")
        self._seconds_per_photo = 0.02

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
        while True:
            batch = await self._collect()
            if batch:
                await self._answer(batch)

    async def close(self, seconds: float) -> bool:
        """Wait for the batch that is being judged; False where it does not end in time."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().run_in_executor(self._thread, lambda: None)
        except TimeoutError:
            return False
        self._thread.shutdown()
        return True

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
        loop = asyncio.get_running_loop()
        start = loop.time()
        photos = [item.photo for item in batch]
        try:
            answers = await loop.run_in_executor(self._thread, self._judge, photos)
        except Exception as error:  # noqa: BLE001 the device's, or no memory: raised to each request of the batch
            for item in batch:
                if not item.answer.done():
                    item.answer.set_exception(error)
            return
        finally:
            self._took(len(batch), loop.time() - start)
        for item, answer in zip(batch, answers, strict=True):
            if not item.answer.done():
                item.answer.set_result(answer)

    def _took(self, photos: int, seconds: float) -> None:
        self._seconds_per_photo += _SMOOTHING * (seconds / photos - self._seconds_per_photo)
        self._observe(photos, seconds)

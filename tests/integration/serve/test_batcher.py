"""Batches: never larger than their limit, in order, without those who left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from aiface_runtime.images import EncodedImage
from aiface_runtime.serve.batcher import AT_ONCE, Batcher


class Judge:
    """Answers with a photo's name, and notes the batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, photos: Sequence[EncodedImage]) -> list[Any]:
        self.batches.append([photo.name for photo in photos])
        if any(photo.name == "broken" for photo in photos):
            raise RuntimeError("the device failed")
        return [photo.name for photo in photos]


def photos(*names: object) -> list[EncodedImage]:
    return [EncodedImage(str(name), b"") for name in names]


async def with_batcher(judge: Callable[[Sequence[EncodedImage]], list[Any]], work: Any, max_wait: float = 0.01) -> Any:
    batcher = Batcher(judge, 4, max_wait, lambda _photos, _seconds: None)
    running = asyncio.create_task(batcher.run())
    result = await asyncio.wait_for(work(batcher), 30)
    running.cancel()
    assert await batcher.close(30)
    return result


def test_batches_are_full_and_in_order() -> None:
    judge = Judge()

    async def work(batcher: Batcher) -> list[Any]:
        return await asyncio.gather(*batcher.submit(photos(*range(10))))

    assert asyncio.run(with_batcher(judge, work)) == [str(number) for number in range(10)]
    assert judge.batches == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]


def test_a_photo_waits_for_others() -> None:
    judge = Judge()

    async def work(batcher: Batcher) -> None:
        first = batcher.submit(photos("first"))
        await asyncio.sleep(0.05)
        await asyncio.gather(*first, *batcher.submit(photos("second", "third", "fourth")))

    asyncio.run(with_batcher(judge, work, max_wait=20))
    assert judge.batches == [["first", "second", "third", "fourth"]]


def test_who_left_is_not_judged() -> None:
    judge = Judge()

    async def work(batcher: Batcher) -> list[Any]:
        left, *stayed = batcher.submit(photos("left", "stayed"))
        left.cancel()
        return await asyncio.gather(*stayed)

    assert asyncio.run(with_batcher(judge, work)) == ["stayed"]
    assert judge.batches == [["stayed"]]


def test_an_error_is_that_of_its_photo_alone() -> None:
    judge = Judge()

    async def work(batcher: Batcher) -> list[Any]:
        answers = batcher.submit(photos("first", "broken", "last"))
        return await asyncio.gather(*answers, *batcher.submit(photos("next")), return_exceptions=True)

    first, broken, *others = asyncio.run(with_batcher(judge, work))
    assert (first, others) == ("first", ["last", "next"])
    assert str(broken) == "the device failed"
    assert judge.batches[0] == ["first", "broken", "last", "next"]


def test_batches_are_judged_beside_each_other() -> None:
    together = threading.Barrier(AT_ONCE)

    def judge(batch: Sequence[EncodedImage]) -> list[Any]:
        together.wait(30)
        return [photo.name for photo in batch]

    async def work(batcher: Batcher) -> list[Any]:
        return await asyncio.gather(*batcher.submit(photos(*range(4 * AT_ONCE))))

    assert asyncio.run(with_batcher(judge, work)) == [str(number) for number in range(4 * AT_ONCE)]


@pytest.mark.parametrize("photos_waiting", [0, 10**6])
def test_when_to_come_again_is_bounded(photos_waiting: int) -> None:
    async def work(batcher: Batcher) -> int:
        return batcher.retry_after(photos_waiting)

    assert asyncio.run(with_batcher(Judge(), work)) in (1, 60)

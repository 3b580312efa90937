"""A client of photo services that stops by itself: requests at a rate or one after the other, every answer checked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_TIMEOUT = 30.0  # seconds for one request, after which it counts as lost
_TOLERANCE = 1e-5  # of P(AI); the photos' answers differ by more
_MAX_CONNECTIONS = 512
_RAMP = 3.0  # seconds before a measurement begins


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as the body of a request, and the probability that a service must give for it."""

    body: bytes
    p_ai: float


_BOUNDARY = "aiface-load"


def form_of(data: bytes) -> bytes:
    """Return a form with one photo, which every service here takes."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n'
    return f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()


@dataclass(slots=True)
class Outcome:
    """What became of requests.

    Attributes:
        since: Begin of the measurement, by the event loop's clock; requests are sent for a while before it.
        until: End of the measurement.
        sent: Number of requests that were begun in between.
        in_time: Number of right answers that came in between, whenever their requests were sent.
        refused: Number that the service answered with 503.
        lost: Number without an answer: an error of the connection, another status, or none in time.
        exchanged: Number of answers that are another photo's.
        latencies: Seconds that each right answer took.
    """

    since: float
    until: float
    sent: int = 0
    in_time: int = 0
    refused: int = 0
    lost: int = 0
    exchanged: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Right answers a second."""
        return self.in_time / (self.until - self.since)

    @property
    def sent_rate(self) -> float:
        """Requests a second."""
        return self.sent / (self.until - self.since)

    def is_measured(self, time: float) -> bool:
        """Say whether a time belongs to the measurement."""
        return self.since <= time <= self.until

    def percentile(self, percent: float) -> float:
        """Latency of right answers in milliseconds; NaN without any."""
        return float(1000 * np.percentile(self.latencies, percent)) if self.latencies else float("nan")


class Client:
    """HTTP/1.1 to one service on this machine, over connections that are used again.

    A client of a library takes as long for a request as the service does, on the same cores.

    Args:
        port: Port of the service.
        path: Path that photos are sent to.
        p_ai_of: Finds the probability in a parsed answer.
    """

    def __init__(self, port: int, path: str, p_ai_of: Callable[[Any], float]) -> None:
        self._port, self._path, self._p_ai_of = port, path, p_ai_of
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._limit = asyncio.Semaphore(_MAX_CONNECTIONS)

    async def ask(self, photo: Photo, outcome: Outcome, since: float | None = None) -> None:
        """Send one photo and note what became of it, and how long it took since a time, or since now."""
        loop = asyncio.get_running_loop()
        start = loop.time() if since is None else since
        outcome.sent += outcome.is_measured(start)
        try:
            async with self._limit, asyncio.timeout(_TIMEOUT):
                status, body = await self.request("POST", self._path, photo.body)
        except (OSError, EOFError, TimeoutError, ValueError):
            outcome.lost += 1
            return
        if status == 503:
            outcome.refused += 1
        elif status != 200:
            outcome.lost += 1
        elif abs(self._p_ai_of(json.loads(body)) - photo.p_ai) > _TOLERANCE:
            outcome.exchanged += 1
        else:
            outcome.latencies.append(loop.time() - start)
            outcome.in_time += outcome.is_measured(loop.time())

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request and return the status and the body of its response.

        Raises:
            OSError: The connection failed.
            EOFError: It ended before the response did.
            ValueError: The response is none.
        """
        reader, writer = await self._connection()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        kind = f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n\r\n"
        try:
            writer.write(f"{head}{kind}".encode() + body)
            status, headers = _parsed(await reader.readuntil(b"\r\n\r\n"))
            answer = await reader.readexactly(int(headers["content-length"]))
        except BaseException:
            writer.close()
            raise
        if headers.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return status, answer

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # closed by the service, as it may when nothing has come for some seconds
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def close(self) -> None:
        """Close all connections."""
        for _, writer in self._idle:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        self._idle.clear()


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def begun(seconds: float) -> Outcome:
    """Return an empty outcome whose measurement begins after a while, when the queue is as long as it becomes."""
    since = asyncio.get_running_loop().time() + min(_RAMP, seconds)
    return Outcome(since, since + seconds)


async def closed_loop(client: Client, photos: Sequence[Photo], clients: int, outcome: Outcome) -> None:
    """Have each of several clients send a photo as soon as it has the answer to the one before."""
    loop = asyncio.get_running_loop()

    async def run(number: int) -> None:
        while loop.time() < outcome.until:
            await client.ask(photos[number % len(photos)], outcome)
            number += 1

    await asyncio.gather(*(run(number) for number in range(clients)))


async def open_loop(client: Client, photos: Sequence[Photo], rate: float, outcome: Outcome) -> None:
    """Send photos at random times (a Poisson process, the same each time), whether the service keeps up or not.

    What is refused is not sent again: `Retry-After` tells clients of their own when to, and here each request is
    another client's. Latency counts from the time that a request was to be sent at, so that a client that is late does
    not hide it.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    count = max(1, round(rate * (outcome.until - start)))
    times = np.cumsum(np.random.default_rng(0).exponential(1 / rate, count))
    tasks: list[Awaitable[None]] = []
    for number, after in enumerate(times.tolist()):
        if (delay := start + after - loop.time()) > 0:
            await asyncio.sleep(delay)
        tasks.append(asyncio.create_task(client.ask(photos[number % len(photos)], outcome, start + after)))
    await asyncio.gather(*tasks)

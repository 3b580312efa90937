"""A client of photo services that stops by itself: requests at a rate or one after the other, every answer checked."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

_TIMEOUT = 30.0  # seconds for one request, after which it counts as lost
_TOLERANCE = 1e-5  # of P(AI); the photos' answers differ by more
_MAX_CONNECTIONS = 512
_RAMP = 3.0  # seconds before a measurement begins
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n")


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


class _Connection(asyncio.Protocol):
    """One connection, for one request after the other."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._response: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send a request; the result is the status and the body of its response."""
        assert self._transport is not None  # noqa: S101 it is connected before it is handed out
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._response

    def data_received(self, data: bytes) -> None:
        self._received += data
        if (end := self._received.find(b"\r\n\r\n")) < 0 or self._response is None:
            return
        head = bytes(self._received[: end + 2]).lower()
        if (length := _LENGTH.search(head)) is None:
            self.close(ValueError("a response without Content-Length"))
        elif len(self._received) >= end + 4 + int(length[1]):
            response, self._response = self._response, None
            body = bytes(self._received[end + 4 :])
            self._received.clear()
            if b"\r\nconnection: close\r\n" in head:
                self.close()
            if not response.done():
                response.set_result((int(head[9:12]), body))

    def connection_lost(self, error: Exception | None) -> None:
        self.close(error or EOFError("the connection ended"))

    def close(self, error: Exception | None = None) -> None:
        """End it; who waits for a response gets an error."""
        self.is_open = False
        if self._response is not None and not self._response.done():
            self._response.set_exception(error or EOFError("closed"))
        self._response = None
        if self._transport is not None:
            self._transport.close()


class Client:
    """HTTP/1.1 to one service on this machine, over connections that are used again.

    Requests are prepared and responses parsed as far as is needed: a client of a library takes as long for a request as
    the service does, on the same cores.

    Args:
        port: Port of the service.
        path: Path that photos are sent to.
        p_ai_of: Finds the probability in a parsed answer.
    """

    def __init__(self, port: int, path: str, p_ai_of: Callable[[Any], float]) -> None:
        self._port, self._path, self._p_ai_of = port, path, p_ai_of
        self._idle: list[_Connection] = []
        self._limit = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._requests: dict[bytes, bytes] = {}  # by the body of each photo

    async def ask(self, photo: Photo, outcome: Outcome, since: float | None = None) -> None:
        """Send one photo and note what became of it, and how long it took since a time, or since now."""
        loop = asyncio.get_running_loop()
        start = loop.time() if since is None else since
        outcome.sent += outcome.is_measured(start)
        if (request := self._requests.get(photo.body)) is None:
            request = self._requests[photo.body] = _request("POST", self._path, photo.body)
        try:
            async with self._limit, asyncio.timeout(_TIMEOUT):
                status, body = await self._exchange(request)
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

    async def is_ready(self, path: str) -> bool:
        """Say whether a path answers 200.

        Raises:
            OSError: The connection failed.
            EOFError: It ended before the response did.
            ValueError: The response has no length.
        """
        return (await self._exchange(_request("GET", path)))[0] == 200

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        connection = await self._connection()
        try:
            response = await connection.ask(request)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return response

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:  # a service may close it when nothing has come for some seconds
                return connection
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, "127.0.0.1", self._port))[1]

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()


def _request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n\r\n".encode() + body


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

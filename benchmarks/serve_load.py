"""`python -m benchmarks.serve_load`: what `aiface serve` answers a second, how fast, and what becomes of the rest.

For each service: its capacity, by clients that each wait for their answer; then requests at rates of that capacity, up
to twice as many. All on this machine, the client beside the service; every answer is held to the library's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aiface_runtime import Classifier
from aiface_runtime.latency import encoded, photo

from .machine import machine
from .page import Section, table
from .process_group import ProcessGroup, ended_by_signals
from .serve_client import Client, Outcome, Photo, begun, closed_loop, form_of, open_loop

_ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = _ROOT / "benchmarks/results/serve.jsonl", Section(_ROOT / "docs/serve.md", "load")
RATES = (0.25, 0.5, 0.75, 0.9, 2.0)  # of the capacity
_PHOTOS, _SIZE = 16, (512, 640)  # number, and width and height in pixels
_START = 120.0  # seconds until a service answers
_HEADER = (
    *("service", "load", "sent/s", "answered/s", "of capacity", "p50 ms", "p95 ms", "p99 ms"),
    *("refused", "lost", "exchanged", "service cores", "client cores"),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A service to measure.

    Attributes:
        name: Name in the table.
        command: Function that gives what starts it on a port.
        path: Path that photos are sent to.
        ready: Path that answers 200 once it is ready.
        p_ai_of: Finds the probability in a parsed answer.
    """

    name: str
    command: Callable[[int], list[str]]
    path: str
    ready: str
    p_ai_of: Callable[[Any], float]


@dataclass(frozen=True, slots=True)
class Load:
    """What every service is sent.

    Attributes:
        photos: Photos, sent in turn.
        clients: Number of clients that find the capacity.
        seconds: Length of each measurement.
    """

    photos: Sequence[Photo]
    clients: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Attributes:
        service: Name of the service.
        load: `closed` for clients that wait, or the multiple of the capacity that was sent.
        sent: Requests a second.
        answered: Right answers a second.
        capacity: Answers a second of the service's `closed` row.
        p50: Median latency of right answers, in milliseconds.
        p95: Their 95th percentile.
        p99: Their 99th percentile.
        refused: Number of requests refused by 503.
        lost: Number of requests without an answer.
        exchanged: Number of answers of another photo.
        service_cores: Cores that the service's processes kept busy, in CPU seconds a second.
        client_cores: Cores that the client kept busy.
    """

    service: str
    load: str
    sent: float
    answered: float
    capacity: float
    p50: float
    p95: float
    p99: float
    refused: int
    lost: int
    exchanged: int
    service_cores: float
    client_cores: float

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        rates = (f"{self.sent:.1f}", f"{self.answered:.1f}", f"{self.answered / self.capacity:.0%}")
        latencies = tuple(f"{value:.0f}" for value in (self.p50, self.p95, self.p99))
        load = "closed" if self.load == "closed" else f"{self.load} x capacity"
        counts = tuple(map(str, (self.refused, self.lost, self.exchanged)))
        return (
            self.service,
            load,
            *rates,
            *latencies,
            *counts,
            f"{self.service_cores:.2f}",
            f"{self.client_cores:.2f}",
        )


def subjects(workers: Sequence[int], peer_python: str | None) -> Iterator[Subject]:
    """Yield the services: ours, and LitServe with the same model where an interpreter has it."""
    for count in workers:
        ours = [sys.executable, "-P", "-m", "aiface_runtime", "serve", "--workers", str(count), "--port"]
        yield Subject(f"aiface serve, {count} process{'es' * (count > 1)}", lambda port, ours=ours: [*ours, str(port)],
                      "/v1/predict", "/readyz", lambda answer: answer["records"][0]["p_ai"])  # fmt: skip
    for count in workers if peer_python else ():
        script = [str(peer_python), str(_ROOT / "benchmarks/litserve_app.py")]
        yield Subject(f"LitServe, {count} worker{'s' * (count > 1)}",
                      lambda port, script=script, count=count: [*script, str(port), str(count)],
                      "/predict", "/health", lambda answer: answer["p_ai"])  # fmt: skip


def photos() -> list[Photo]:
    """Make photos of different brightness and colour, whose answers differ."""
    base = np.asarray(photo(*_SIZE)).astype(np.float32)
    factors = np.random.default_rng(0).uniform(0.2, 1.2, (_PHOTOS, 3)).astype(np.float32)
    images = [Image.fromarray((base * factor).clip(0, 255).astype(np.uint8)) for factor in factors]
    files = [encoded(image) for image in images]
    with Classifier(device="cpu") as classifier:
        return [Photo(form_of(file), classifier.predict(file).p_ai) for file in files]


@contextmanager
def running(subject: Subject) -> Iterator[tuple[int, ProcessGroup]]:
    """Run a service on a free port, and end it with all its processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with tempfile.TemporaryFile() as log:
        group = ProcessGroup(subject.command(port), log)
        try:
            yield port, group
        except Exception as error:
            log.seek(0)
            error.add_note(log.read().decode(errors="replace")[-2000:])
            raise
        finally:
            group.end()


async def measure(subject: Subject, port: int, group: ProcessGroup, load: Load) -> list[Row]:
    """Measure one service."""
    client = Client(port, subject.path, subject.p_ai_of)
    await _ready(client, subject.ready, group)

    async def row(name: str, send: Callable[[Outcome], Awaitable[None]], capacity: float | None = None) -> Row:
        outcome = begun(load.seconds)
        cores, _ = await asyncio.gather(_cores(group, outcome), send(outcome))
        return _row((subject.name, name), outcome, capacity or outcome.goodput, cores)

    closed = await row("closed", partial(closed_loop, client, load.photos, load.clients))
    if not (capacity := closed.answered):
        raise RuntimeError(f"{subject.name}: answers nothing: {closed.lost} lost, {closed.exchanged} exchanged")
    rates = [(f"{rate:g}", partial(open_loop, client, load.photos, rate * capacity)) for rate in RATES]
    rows = [closed, *[await row(name, send, capacity) for name, send in rates]]
    client.close()
    return rows


async def _cores(group: ProcessGroup, outcome: Outcome) -> tuple[float, float]:
    """Return the cores that the service and this process keep busy while it is measured."""
    loop, counts = asyncio.get_running_loop(), []
    for until in (outcome.since, outcome.until):
        await asyncio.sleep(until - loop.time())
        counts.append((loop.time(), group.cpu_seconds(), time.process_time()))
    seconds, service, client = (after - before for before, after in zip(*counts, strict=True))
    return service / seconds, client / seconds


async def _ready(client: Client, path: str, group: ProcessGroup) -> None:
    async with asyncio.timeout(_START):
        while True:
            if group.has_ended:
                raise RuntimeError("the service ended")
            with suppress(OSError, EOFError, ValueError):
                if await client.is_ready(path):
                    return
            await asyncio.sleep(0.1)


def _row(names: tuple[str, str], outcome: Outcome, capacity: float, cores: tuple[float, float]) -> Row:
    p50, p95, p99 = (outcome.percentile(percent) for percent in (50, 95, 99))
    service, client = cores
    return Row(*names, outcome.sent_rate, outcome.goodput, capacity, p50, p95, p99, outcome.refused, outcome.lost,
               outcome.exchanged, service, client)  # fmt: skip


def page(rows: Sequence[Row], seconds: float) -> str:
    """Return the section of the page."""
    here = machine()
    packages = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "starlette", "uvicorn"))
    text = (
        f"Measured on {here['processor']}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}, for "
        f"{seconds:g} s each, by {_PHOTOS} JPEGs of {_SIZE[0]}x{_SIZE[1]} pixels; the client runs on the same cores."
    )
    return f"{text}\n\n{table(_HEADER, [row.cells() for row in rows])}\n"


def main() -> int:
    """Measure, record each service's rows as they come in, and put the table into the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve_load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15, help="length of each measurement (default: 15)")
    parser.add_argument("--clients", type=int, default=32, help="clients that find the capacity (default: 32)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes (default: 1 2)")
    parser.add_argument("--peer-python", metavar="PYTHON", help="with aiface, litserve, python-multipart: measured too")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the rows, JSON lines")
    parser.add_argument("--no-page", action="store_true", help="leave docs/serve.md as it is")
    args = parser.parse_args()
    load, rows = Load(photos(), args.clients, args.seconds), []
    for subject in subjects(args.workers, args.peer_python):
        with ended_by_signals(), running(subject) as (port, group):
            rows += asyncio.run(measure(subject, port, group, load))
        args.results.write_text("".join(f"{json.dumps(asdict(row))}\n" for row in rows), encoding="utf-8")
        print(table(_HEADER, [row.cells() for row in rows if row.service == subject.name]))
    if not args.no_page:
        PAGE.replace(page(rows, args.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())

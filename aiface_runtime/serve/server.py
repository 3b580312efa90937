"""One process of the service: a socket, uvicorn, signals, the log."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import UsageError
from .app import make_app
from .front import LOG, Front
from .problems import Problem
from .service import Phase, Service
from .settings import Settings, check_reach

if TYPE_CHECKING:
    from types import FrameType

    from ..classifier import Classifier

_BACKLOG = 2048  # connections that wait to be accepted
_HEADER_SECONDS = 10.0  # for the headers of a request, at most
_MAX_CONNECTIONS = 900  # of a process, below the usual limit of 1,024 open files
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # those that the system has
_POLL = 0.02  # seconds between looks at what is in flight, once the process is to end


def listen(settings: Settings) -> socket.socket:
    """Bind the socket, and refuse one that other machines reach where no token keeps them out.

    Raises:
        UsageError: It cannot be bound, or must not.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {settings.host}: {error.strerror or error}; name one of this machine") from error
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        check_reach(bound.getsockname(), settings.token)
    except OSError as error:
        bound.close()
        remedy = "choose another --host or --port"
        raise UsageError(f"{settings.host}:{settings.port}: {error.strerror or error}; {remedy}") from error
    except UsageError:
        bound.close()
        raise
    bound.listen(_BACKLOG)
    return bound


def address_of(bound: socket.socket) -> str:
    """Return the address of the service as a client names it."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def log_as_json() -> None:
    """Have the log of this program, and warnings of the libraries, written to stderr: an object of JSON a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    LOG.setLevel(logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of every piece of a strange body


class _JsonLines(logging.Formatter):
    """Puts a record of the log on one line, as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
        entry: dict[str, Any] = {"time": now, "level": record.levelname.lower(), "event": record.getMessage().strip()}
        entry |= {"process": record.process} | getattr(record, "fields", {})
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def serve(
    settings: Settings,
    bound: socket.socket,
    open_model: Callable[[], Classifier],
    operating_point: str,
    parent: int | None = None,
) -> None:
    """Answer requests until a signal, or the end of the parent, stops it.

    Args:
        settings: Limits.
        bound: Socket that listens.
        open_model: Opens the model.
        operating_point: Name of the thresholds of its verdicts.
        parent: Descriptor that ends when the process that started this one does, or wants this one to.

    Raises:
        AifaceError: The model cannot be opened.
    """
    asyncio.run(_serve(settings, bound, open_model, operating_point, parent))


async def _serve(
    settings: Settings,
    bound: socket.socket,
    open_model: Callable[[], Classifier],
    operating_point: str,
    parent: int | None,
) -> None:
    service = Service(settings, open_model, operating_point)
    server = _Server(_config(service))
    stop = _Stop(service, server)
    with stop.on_signals():
        if parent is not None:
            stop.when_ended(parent)
        running = asyncio.create_task(service.run())
        running.add_done_callback(lambda _: stop.begin())
        if parent is not None:  # until then the other processes accept what comes
            await service.opened.wait()
        await server.serve([bound])
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        if not await service.close():
            LOG.error("a photo's decoder does not end, so the process is ended with it")
            os._exit(1)
    if service.failure is not None:
        raise service.failure


def _config(service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        Front(make_app(service), service),
        http=type("Protocol", (_Protocol,), {"header_seconds": min(_HEADER_SECONDS, service.settings.seconds)}),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # Also how many connections are accepted at once: where several processes share the socket, each gets its part.
        backlog=1 if service.settings.workers > 1 else _BACKLOG,
        timeout_graceful_shutdown=1,  # for what is left once all photos are answered
    )


class _Server(uvicorn.Server):
    """uvicorn's server, without its handlers of signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for bound in sockets or ():
            bound.listen(_BACKLOG)


class _Stop:
    """Ends a process in order: no new photos, the others answered, then no connections."""

    def __init__(self, service: Service, server: uvicorn.Server) -> None:
        self._service, self._server = service, server
        self._task: asyncio.Task[None] | None = None
        self._signalled = False

    def begin(self) -> None:
        """Begin to end; more than once is the same as once."""
        if self._task is None:
            self._service.phase = Phase.STOPPING
            self._task = asyncio.create_task(self._finish())

    def when_ended(self, parent: int) -> None:
        """Begin when the other end of a pipe is closed."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(parent)
            self.begin()

        loop.add_reader(parent, ended)

    async def _finish(self) -> None:
        loop, settings = asyncio.get_running_loop(), self._service.settings
        start = loop.time()
        wait = 0.0 if self._service.failure else settings.drain
        while loop.time() < start + wait or (
            self._service.admission.photos and loop.time() < start + wait + settings.seconds
        ):
            await asyncio.sleep(_POLL)
        self._server.should_exit = True

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Have the first signal begin the end, and the second be the end."""
        loop = asyncio.get_running_loop()

        def stop(number: int, _: FrameType | None) -> None:
            if self._signalled:
                os._exit(128 + number)
            self._signalled = True
            loop.call_soon_threadsafe(self.begin)

        numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # nohup
                signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, which waits for headers for some time only, and takes no more connections than it may.

    Attributes:
        header_seconds: Time for the headers of a request.
    """

    header_seconds = _HEADER_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _MAX_CONNECTIONS:
            transport.abort()
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_headers()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        self._stop_waiting()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request as others are refused."""
        problem = Problem(400, "http", f"{msg} It is no HTTP/1.1, or its headers are too long", "send fewer headers")
        request_id = uuid4().hex
        response = problem.response(request_id)
        more = [(b"x-request-id", request_id.encode()), (b"connection", b"close")]
        head = h11.Response(status_code=400, headers=[*response.raw_headers, *more], reason=b"Bad Request")
        for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait_for_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.header_seconds, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def log_start(bound: socket.socket, workers: int) -> None:
    """Say where the service listens."""
    LOG.info("listening", extra={"fields": {"url": address_of(bound), "workers": workers}})

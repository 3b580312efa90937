"""What every request passes first and last: its id, its token, the rest of its body, a line in the log."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
from contextlib import suppress
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .app import HEALTH, METRICS, MODEL, PREDICT, READINESS, SCHEMA
from .problems import QUEUE_FULL, Problem
from .service import Service

LOG = logging.getLogger("aiface.serve")
_PATHS = {PREDICT, MODEL, SCHEMA, METRICS, HEALTH, READINESS}  # others are counted as one: clients make them up
_METHODS = {"GET", "HEAD", "POST", "OPTIONS"}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]", ""}
_DRAIN_SECONDS = 2.0
_MOMENT = 0.05  # seconds whose refusals are sent together


class Front:
    """Middleware around the whole application.

    Args:
        app: The application.
        service: The service that it answers for.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service, self._moment = app, service, _Moment(service.settings.max_queue)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = _Exchange(scope, headers, receive, send, self._service.settings.max_request_bytes)
        state = scope.setdefault("state", {})
        state["request_id"] = exchange.request_id
        try:
            if problem := self._refusal(scope["path"], headers) or self._overload(scope):
                state["code"] = problem.code
                if problem.code == QUEUE_FULL:
                    await self._moment.end()
                await problem.response(exchange.request_id)(scope, exchange.receive, exchange.send)
            else:
                await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            LOG.exception("a request failed", extra={"fields": {"request_id": exchange.request_id}})
            if not exchange.is_answered:
                raise  # uvicorn answers, or ends the connection
        finally:
            self._record(scope, exchange)

    def _refusal(self, path: str, headers: Headers) -> Problem | None:
        """Refuse who has no token, and pages of other sites, to which a browser lends an address of this machine."""
        token = self._service.settings.token
        if token is None:
            name = re.sub(r":\d+\Z", "", headers.get("host", "")).lower()
            wrong = f"Host {name!r} is no name of this machine"
            remedy = "use 127.0.0.1, or start the service with a token"
            return None if name in _LOCAL_NAMES else Problem(421, "wrong_host", wrong, remedy)
        if path in (HEALTH, READINESS):
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), token.encode()):
            return None
        remedy = "send the header Authorization: Bearer TOKEN"
        return Problem(401, "no_token", "the token is missing or wrong", remedy, {"WWW-Authenticate": "Bearer"})

    def _overload(self, scope: Scope) -> Problem | None:
        """Refuse photos that are not taken on now, before anything else is done for them: refusals are to be cheap."""
        return self._service.not_now() if (scope["method"], scope["path"]) == ("POST", PREDICT) else None

    def _record(self, scope: Scope, exchange: _Exchange) -> None:
        """Count a request and log it, without names of photos, queries and addresses of clients."""
        seconds, state, metrics = time.perf_counter() - exchange.start, scope["state"], self._service.metrics
        path = scope["path"] if scope["path"] in _PATHS else "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        metrics.requests.labels(path, method, str(exchange.status)).inc()
        metrics.request_seconds.labels(path).observe(seconds)
        if "code" in state:
            metrics.refused.labels(state["code"]).inc()
        fields = {"request_id": exchange.request_id, "method": method, "path": path, "status": exchange.status,
                  "code": state.get("code"), "photos": state.get("photos"), "bytes": exchange.received,
                  "milliseconds": round(1000 * seconds, 2)}  # fmt: skip
        LOG.info("request", extra={"fields": fields})


class _Moment:
    """A short time whose refusals are sent together.

    A refusal on its own, between two pieces of the model's work, finds none of what it needs in the processor's caches,
    and leaves none of what the model needs there: it takes several times as long as in a row.

    Args:
        max_waiting: Refusals that wait together, with what has come of their bodies; others are sent at once.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting, self._waiting, self._over = max_waiting, 0, asyncio.Event()

    async def end(self) -> None:
        """Wait for the end of the moment; the first one begins it."""
        if self._waiting >= self._max_waiting:
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(_MOMENT, self._end)
        self._waiting += 1
        await self._over.wait()

    def _end(self) -> None:
        self._over.set()
        self._waiting, self._over = 0, asyncio.Event()


class _Exchange:
    """One request and its response.

    A response may come before the end of the body. Where that is known to be no longer than a request may be, uvicorn
    receives and drops what is left, and the connection goes on: a client that opened another would cost more. Otherwise
    the connection ends. What is left is received before that, up to limits of time and bytes, for a connection that is
    closed on unread data is reset, and the client might not read the answer.
    """

    def __init__(self, scope: Scope, headers: Headers, receive: Receive, send: Send, max_bytes: int) -> None:
        given = headers.get("x-request-id", "").encode("latin-1")
        self.request_id = given.decode() if _REQUEST_ID.fullmatch(given) else uuid4().hex
        self.start, self.status, self.received, self.is_answered = time.perf_counter(), 499, 0, False
        self._receive, self._send, self._max_bytes = receive, send, max_bytes
        is_chunked = "transfer-encoding" in headers
        length = int(headers.get("content-length", 0))  # h11 has seen that it is a number
        self._unread = is_chunked or length > 0
        self._waits_for_100 = headers.get("expect", "").lower() == "100-continue"  # and has sent nothing yet
        ends = self._waits_for_100 or scope["http_version"] == "1.0" or "close" in headers.get("connection", "").lower()
        self._is_kept = not is_chunked and length <= max_bytes and not ends

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        self._waits_for_100 = False
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
            if self._unread and not self._is_kept:
                headers["Connection"] = "close"
        elif self._unread and not self._is_kept and not self._waits_for_100 and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)
        self.is_answered = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def _drain(self) -> None:
        enough_bytes = self.received + self._max_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._unread and self.received < enough_bytes:
                    await self.receive()

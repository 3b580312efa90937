"""The routes of the service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import AifaceError
from .body import check_head, client_gone, photos_of
from .metrics import MEDIA_TYPE
from .openapi import document
from .problems import Problem, busy
from .service import Phase, Service

if TYPE_CHECKING:
    from .batcher import Answer

PREDICT, MODEL, SCHEMA, METRICS = "/v1/predict", "/v1/model", "/openapi.json", "/metrics"
HEALTH, READINESS = "/healthz", "/readyz"  # asked by probes, which carry no token
_UNKNOWN = {404: "not_found", 405: "method_not_allowed"}


def make_app(service: Service) -> Starlette:
    """Return the application that answers for a service."""
    app = Starlette(
        routes=[
            Route(PREDICT, predict, methods=["POST"]),
            Route(MODEL, model),
            Route(SCHEMA, schema),
            Route(METRICS, metrics),
            Route(HEALTH, health),
            Route(READINESS, readiness),
        ],
        exception_handlers={Problem: _problem, HTTPException: _http_error, Exception: _unexpected},
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app


async def predict(request: Request) -> Response:
    """Answer for the photos of a request."""
    service = _service(request)
    until = asyncio.get_running_loop().time() + service.settings.seconds
    size = check_head(request, service.settings)
    with service.admission.enter(size, service.retry_after) as ticket:
        try:
            async with asyncio.timeout_at(until):
                photos = await photos_of(request, service.settings)
        except TimeoutError:
            raise _too_slow(service) from None
        ticket.holds(len(photos), service.retry_after)
        request.state.photos = len(photos)
        answers = await _answers(request, service, service.submit(photos), until)
    service.metrics.answered(answers)
    return JSONResponse({"records": [answer.to_record() for answer in answers]})


async def _answers(
    request: Request, service: Service, futures: Sequence[asyncio.Future[Answer]], until: float
) -> list[Answer]:
    """Wait for the answers, as long as the client waits for them and the deadline allows."""
    gone = asyncio.ensure_future(request.receive())
    answers = asyncio.gather(*futures)
    try:
        async with asyncio.timeout_at(until):
            await asyncio.wait((gone, answers), return_when=asyncio.FIRST_COMPLETED)
        if not answers.done():
            raise client_gone()
        return answers.result()
    except TimeoutError:
        late = f"not answered within {service.settings.seconds:g} s"
        raise busy("deadline", late, service.retry_after) from None
    finally:
        gone.cancel()
        answers.cancel()


async def model(request: Request) -> Response:
    """Describe the model."""
    return JSONResponse(_service(request).model())


async def schema(request: Request) -> Response:
    """Describe the service."""
    return JSONResponse(document(_service(request).settings))


async def metrics(request: Request) -> Response:
    """Tell Prometheus what was counted."""
    text = await asyncio.to_thread(_service(request).metrics.text)
    return Response(text, headers={"Content-Type": MEDIA_TYPE})


async def health(request: Request) -> Response:
    """Say whether the process does what it is for."""
    report = await _service(request).health()
    return JSONResponse(report, 503 if report["status"] == "failing" else 200)


async def readiness(request: Request) -> Response:
    """Say whether photos are answered now."""
    phase = _service(request).phase
    return JSONResponse({"phase": phase.value}, 200 if phase is Phase.READY else 503)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _too_slow(service: Service) -> Problem:
    late = f"the body did not arrive within {service.settings.seconds:g} s"
    return Problem(408, "too_slow", late, "send fewer or smaller photos at once")


async def _problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)  # noqa: S101 it is registered for these
    request.state.code = problem.code
    return problem.response(request.state.request_id)


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer for a path or a method that there is not; OPTIONS is told the methods that there are."""
    assert isinstance(error, HTTPException)  # noqa: S101 it is registered for these
    if error.status_code == 405 and request.method == "OPTIONS":
        return Response(status_code=204, headers=error.headers)
    code = _UNKNOWN.get(error.status_code, "http")
    detail = f"{request.method} {request.url.path}: {error.detail}"
    return await _problem(request, Problem(error.status_code, code, detail, f"see {SCHEMA}", error.headers))


async def _unexpected(request: Request, error: Exception) -> Response:
    """Answer for what is the service's own fault; the log has the rest."""
    code = error.code if isinstance(error, AifaceError) else "internal"
    request.state.code = code
    problem = Problem(500, code, "the service failed", "look for the request id in its log")
    return problem.response(request.state.request_id)

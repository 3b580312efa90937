"""Requests that are refused, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
QUEUE_FULL = "queue_full"  # code of a refusal
CLIENT_GONE = 499  # as nginx counts requests whose client left before the answer


class Problem(Exception):  # noqa: N818 what RFC 9457 calls it
    """Why a request is refused.

    Args:
        status: HTTP status.
        code: Stable name for programs.
        detail: Statement of what is wrong.
        remedy: Advice on what to do about it.
        headers: Headers of the response.
    """

    def __init__(
        self, status: int, code: str, detail: str, remedy: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.remedy = status, code, detail, remedy
        self.headers = dict(headers or {})

    def response(self, request_id: str) -> JSONResponse:
        """Return the response that says so."""
        content: dict[str, Any] = {
            "type": "about:blank",
            "title": _title(self.status),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "remedy": self.remedy,
            "request_id": request_id,
        }
        return JSONResponse(content, self.status, self.headers, MEDIA_TYPE)


def busy(code: str, detail: str, seconds: int) -> Problem:
    """Return a refusal that holds for a while only."""
    return Problem(503, code, detail, f"send it again in {seconds} s", {"Retry-After": str(seconds)})


def _title(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Client Closed Request"

"""The service's description of itself, OpenAPI 3.1: kept by hand, here alone."""

from __future__ import annotations

from typing import Any, TypeAlias

from .._version import __version__
from ..prediction import PhotoWarning, Verdict
from .body import MAX_NAME, MULTIPART, OCTETS
from .problems import MEDIA_TYPE as PROBLEM
from .settings import Settings

Json: TypeAlias = dict[str, Any]

_TEXT: Json = {"type": "string"}
_MAYBE_TEXT: Json = {"type": ["string", "null"]}
_SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}
_MAYBE_SHARE: Json = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_COUNT: Json = {"type": "integer", "minimum": 1}
_PHOTO: Json = {"type": "string", "format": "binary", "contentMediaType": OCTETS}
_TITLES = {
    400: "The body is not what its content type says.",
    401: "The token is missing or wrong.",
    405: "There is no such method here; `Allow` names those that there are.",
    408: "The body did not arrive in time.",
    413: "More bytes than one request may have.",
    415: "Another content type, or a compressed body.",
    421: "A name in `Host` that is not this machine's, of a service without a token.",
    422: "No photo in the body, or too many, a part that is no file, or too long a name.",
    500: "The service failed: the device, for one.",
    503: "Not now: the queue is full, the model is being opened, the service is being stopped, or time ran out. "
    "`Retry-After` says when to try again.",
}


def document(settings: Settings) -> Json:
    """Return the description of a service with these settings."""
    refusals = (401,) if settings.token else (421,)
    described: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "aiface",
            "version": __version__,
            "description": "Tells a real face photo from an AI-generated one. A score is evidence, never proof. The "
            "status of a response tells of the request; each photo has a record, and one that cannot be used has its "
            "`error` there, so that the others are still answered. Every response has an `X-Request-ID`: the request's "
            "own, of 1 to 128 letters, digits and `._:-`, or a new one.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/v1/predict": {"post": _predict(settings, refusals)},
            "/v1/model": _get("model", "Describe the model", "Model", (*refusals, 503)),
            "/healthz": _probe("health", "Say which device really answers, and whether its self-test passes", "Health"),
            "/readyz": _probe("readiness", "Say whether photos are answered now", "Readiness"),
            "/metrics": {"get": _text("metrics", "What was counted, for Prometheus", refusals)},
            "/openapi.json": {"get": _schema(refusals)},
        },
        "components": {"schemas": _schemas()},
    }
    if settings.token:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
        for path in ("/healthz", "/readyz"):
            described["paths"][path]["get"]["security"] = []
    return described


def _predict(settings: Settings, refusals: tuple[int, ...]) -> Json:
    raw = {"schema": _PHOTO | {"minLength": 1}}
    photos = {"type": "array", "items": _PHOTO, "minItems": 1, "maxItems": settings.max_photos}
    form = {"type": "object", "properties": {"photo": photos}, "required": ["photo"], "additionalProperties": False}
    return {
        "operationId": "predict",
        "summary": "Answer for one or several photos",
        "description": "As a form each part is a photo, sent as a file by any name; as another body it is one photo. "
        f"At most {settings.max_request_bytes:,} bytes and {settings.max_photos} photos; addresses are not fetched.",
        "parameters": [
            {
                "name": "name",
                "in": "query",
                "description": "The photo's `input` in its record, where the body is one photo.",
                "schema": {"type": "string", "maxLength": MAX_NAME},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                MULTIPART: {"schema": form},
                OCTETS: raw,
                **{f"image/{kind}": raw for kind in ("jpeg", "png", "webp", "*")},
            },
        },
        "responses": {
            "200": _json("A record for each photo, in order.", {"$ref": "#/components/schemas/Records"}),
            **_problems(400, *refusals, 408, 413, 415, 422, 500, 503),
        },
    }


def _get(name: str, summary: str, schema: str, refusals: tuple[int, ...]) -> Json:
    responses = {"200": _json(summary + ".", {"$ref": f"#/components/schemas/{schema}"}), **_problems(*refusals)}
    return {"get": {"operationId": name, "summary": summary, "responses": responses}}


def _probe(name: str, summary: str, schema: str) -> Json:
    described = _get(name, summary, schema, (421,))
    described["get"]["responses"]["503"] = _json("It does not, or not yet.", {"$ref": f"#/components/schemas/{schema}"})
    return described


def _text(name: str, summary: str, refusals: tuple[int, ...]) -> Json:
    content = {"text/plain": {"schema": _TEXT}}
    responses = {"200": {"description": summary + ".", "headers": _HEADERS, "content": content}, **_problems(*refusals)}
    return {"operationId": name, "summary": summary, "responses": responses}


def _schema(refusals: tuple[int, ...]) -> Json:
    responses = {"200": _json("This document.", {"type": "object"}), **_problems(*refusals)}
    return {"operationId": "schema", "summary": "Describe the service", "responses": responses}


_HEADERS: Json = {
    "X-Request-ID": {"required": True, "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"}}
}
_MORE_HEADERS: dict[int, Json] = {
    401: {"WWW-Authenticate": {"required": True, "schema": _TEXT}},
    415: {"Accept-Post": {"schema": _TEXT}},
    503: {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}},
}


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "headers": _HEADERS, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: int) -> Json:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {
            "description": _TITLES[status],
            "headers": _HEADERS | _MORE_HEADERS.get(status, {}),
            "content": content,
        }
        for status in statuses
    }


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _list(items: Json, **more: int) -> Json:
    return {"type": "array", "items": items, **more}


def _schemas() -> dict[str, Json]:
    warnings = f"Later versions may have more than {', '.join(PhotoWarning)}."
    error = _object(code=_TEXT, message=_TEXT)
    record = _object(
        input={"type": "string", "description": "The photo's name as it was sent, printable."},
        verdict={"enum": [*Verdict, None], "description": "By the thresholds of the operating point; null: an error."},
        p_ai=_MAYBE_SHARE | {"description": "Calibrated probability that the photo is AI-generated."},
        scores={"type": ["object", "null"], "additionalProperties": _SHARE},
        face_probability=_MAYBE_SHARE,
        warnings=_list({"type": "string", "description": warnings}),
        model=_TEXT,
        device=_TEXT,
        fallback=_MAYBE_TEXT,
        error={"oneOf": [error, {"type": "null"}]},
    )
    thresholds = _object(real_below=_SHARE, ai_from=_SHARE)
    limits = _object(request_bytes=_COUNT, photos=_COUNT, seconds={"type": "number"}, batch=_COUNT, queue=_COUNT)
    self_test = _object(passed={"type": "boolean"}, error=_MAYBE_TEXT, age_seconds={"type": "number", "minimum": 0})
    phase: Json = {"enum": ["loading", "ready", "stopping"]}
    return {
        "Record": record,
        "Records": _object(records=_list({"$ref": "#/components/schemas/Record"}, minItems=1)),
        "Model": _object(
            model={"type": "string", "description": "Name and version."},
            name=_TEXT,
            version=_TEXT,
            sha256={"type": "string", "pattern": "^[0-9a-f]{64}$"},
            labels=_list(_TEXT),
            ai_labels=_list(_TEXT),
            input=_object(height=_COUNT, width=_COUNT),
            operating_point=_TEXT,
            operating_points={"type": "object", "additionalProperties": thresholds},
            has_face_map={"type": "boolean"},
            device=_TEXT,
            fallback=_MAYBE_TEXT,
            threads=_COUNT,
            limits=limits,
        ),
        "Health": _object(
            status={"enum": ["ok", "loading", "failing"]},
            phase=phase,
            model=_MAYBE_TEXT,
            device=_MAYBE_TEXT,
            fallback=_MAYBE_TEXT,
            self_test={"oneOf": [self_test, {"type": "null"}]},
        ),
        "Readiness": _object(phase=phase),
        "Problem": _object(
            type=_TEXT,
            title=_TEXT,
            status={"type": "integer"},
            code=_TEXT,
            detail=_TEXT,
            remedy=_TEXT,
            request_id=_TEXT,
        ),
    }

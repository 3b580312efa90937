"""The Flask and FastAPI examples answer uploads as the library does."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aiface_runtime import Classifier

# A form with one file, as browsers send it. (Flask's test client would spool large files and leave them open.)
_HEADERS = {"Content-Type": "multipart/form-data; boundary=x"}
_START = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
_END = b"\r\n--x--\r\n"
Post = Callable[[bytes], tuple[int, dict[str, Any]]]


@pytest.fixture
def flask_client() -> Any:
    pytest.importorskip("flask", reason="Flask comes with the extra 'examples'")
    from examples.flask_app import create_app

    return create_app().test_client()


@pytest.fixture
def fastapi_client() -> Iterator[Any]:
    for package in ("fastapi", "httpx", "python_multipart"):
        pytest.importorskip(package, reason=f"{package} comes with the extra 'examples'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about releases of httpx and anyio; the examples do not import this client
        from starlette.testclient import TestClient
    from examples.fastapi_app import app

    with TestClient(app) as client:
        yield client


@pytest.fixture(params=["flask", "fastapi"])
def post(request: pytest.FixtureRequest) -> Post:
    """Upload bytes as a browser does; returns the status and the JSON."""
    client = request.getfixturevalue(f"{request.param}_client")

    def send(data: bytes) -> tuple[int, dict[str, Any]]:
        body = _START + data + _END
        if request.param == "fastapi":
            reply = client.post("/predict", content=body, headers=_HEADERS)
            return reply.status_code, reply.json()
        reply = client.post("/predict", data=body, headers=_HEADERS)
        return reply.status_code, reply.get_json()

    return send


def test_the_answer_is_the_library_s(post: Post, portrait: Path) -> None:
    status, record = post(portrait.read_bytes())
    expected = Classifier().predict(portrait)
    assert status == 200
    assert record["p_ai"] == pytest.approx(expected.p_ai, abs=1e-6)
    assert record["verdict"] == expected.verdict
    assert record["error"] is None


def test_threads_share_the_classifier(post: Post, portrait: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(post, [portrait.read_bytes()] * 8))
    assert {status for status, _ in replies} == {200}
    assert len({record["p_ai"] for _, record in replies}) == 1


@pytest.mark.parametrize("data", [b"not a photo", b"", b"\xff\xd8\xff\xe0 cut off"])
def test_what_is_no_photo_is_the_caller_s_error(post: Post, data: bytes) -> None:
    status, body = post(data)
    assert status == 422
    assert body["error"]["code"] == "not_an_image"
    assert "bytes" in body["error"]["message"]


def test_too_large_an_upload_is_refused(post: Post) -> None:
    status, body = post(b"\0" * (10 * 1024 * 1024 + 1))
    assert status == 413
    assert "10,485,760 bytes" in str(body)


def test_flask_names_the_field_that_is_missing(flask_client: Any) -> None:
    reply = flask_client.post("/predict", data={"other": "x"})
    assert reply.status_code == 400
    assert "'photo'" in reply.get_json()["error"]["message"]


def test_fastapi_names_the_field_that_is_missing(fastapi_client: Any) -> None:
    reply = fastapi_client.post("/predict", data={"other": "x"})
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"] == ["body", "photo"]


def test_fastapi_counts_what_no_header_announces(fastapi_client: Any) -> None:
    def body() -> Iterator[bytes]:
        yield _START
        for _ in range(11):
            yield b"\0" * 1024 * 1024
        yield _END

    request = fastapi_client.build_request("POST", "/predict", content=body(), headers=_HEADERS)
    assert "content-length" not in request.headers
    assert fastapi_client.send(request).status_code == 413

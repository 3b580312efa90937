"""What the service refuses, with which status, and before it reads what."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.support.command import aiface
from tests.support.service import Service, received

from .conftest import picture

pytest.importorskip("prometheus_client", reason="the extra serve is not installed: `make test` has it in .venv/serve")

JPEG = {"Content-Type": "image/jpeg"}
ZIPPED = JPEG | {"Content-Encoding": "gzip"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
UNBOUND = {"Content-Type": "multipart/form-data"}
ENDLESS = (
    b"--x\r\nContent-Disposition: form-data; name=p; filename=p\r\nA: " + b"a" * 100_000 + b"\r\n\r\na\r\n--x--\r\n"
)
CASES: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "another path": ("GET", "/v2/predict", {}, 404, "not_found"),
    "a path with a slash": ("GET", "/v1/model/", {}, 404, "not_found"),
    "another method": ("GET", "/v1/predict", {}, 405, "method_not_allowed"),
    "a method that is none": ("BREW", "/healthz", {}, 405, "method_not_allowed"),
    "JSON": ("POST", "/v1/predict", {"json": {"url": "http://127.0.0.1/a.jpg"}}, 415, "media_type"),
    "no content type": ("POST", "/v1/predict", {"content": b"a"}, 415, "media_type"),
    "a compressed body": ("POST", "/v1/predict", {"content": b"a", "headers": ZIPPED}, 415, "encoding"),
    "no body": ("POST", "/v1/predict", {"headers": JPEG}, 422, "no_photo"),
    "an empty chunked body": ("POST", "/v1/predict", {"content": iter(()), "headers": JPEG}, 422, "no_photo"),
    "a form without parts": ("POST", "/v1/predict", {"content": b"--x--\r\n", "headers": FORM}, 422, "no_photo"),
    "a form that is none": ("POST", "/v1/predict", {"content": b"no form", "headers": FORM}, 400, "multipart"),
    "a form without boundary": ("POST", "/v1/predict", {"content": b"a", "headers": UNBOUND}, 400, "multipart"),
    "a form with an endless header": ("POST", "/v1/predict", {"content": ENDLESS, "headers": FORM}, 400, "multipart"),
    "a field in place of a file": ("POST", "/v1/predict", {"files": {"photo": (None, "face.jpg")}}, 422, "no_file"),
    "too many photos": ("POST", "/v1/predict", {"files": [("p", ("a", b"a"))] * 41}, 422, "too_many_photos"),
    "a long name": ("POST", f"/v1/predict?name={'a' * 256}", {"content": b"a", "headers": JPEG}, 422, "name"),
    "another host": ("GET", "/v1/model", {"headers": {"Host": "evil.example"}}, 421, "wrong_host"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_says_what_and_what_to_do(service: Service, case: str) -> None:
    method, path, more, status, code = CASES[case]
    response = service.request(method, path, **more)
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["detail"]
    assert problem["remedy"]
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert ("Allow" in response.headers) == (status == 405)


def test_methods_that_ask_about_a_path(service: Service) -> None:
    options = service.request("OPTIONS", "/v1/predict")
    assert (options.status_code, options.headers["Allow"], options.content) == (204, "POST", b"")
    head, get = service.request("HEAD", "/v1/model"), service.get("/v1/model")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.content))
    cross_site = service.get("/v1/model", headers={"Origin": "http://other.example"})
    assert not [name for name in cross_site.headers if name.lower().startswith("access-control")]


def test_a_request_id_is_taken_over_if_it_is_sane(service: Service) -> None:
    assert service.get("/healthz", headers={"X-Request-ID": "a-1.b"}).headers["X-Request-ID"] == "a-1.b"
    for bad in ("a b", "a" * 129, "ä"):
        given = service.get("/healthz", headers={"X-Request-ID": bad.encode("latin-1")}).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{32}", given)


def test_the_log_has_the_request_and_nothing_of_the_photo(service: Service, photos: list[bytes]) -> None:
    files = {"photo": ("private-name.jpg", photos[0])}
    response = service.post("/v1/predict?name=private-query", files=files, headers={"X-Request-ID": "logged"})
    entry = service.wait_for("request", request_id="logged")
    assert (entry["path"], entry["status"], entry["photos"], entry["code"]) == ("/v1/predict", 200, 1, None)
    assert entry["bytes"] > len(photos[0])
    assert response.status_code == 200
    assert "private" not in str(service.log)


def test_every_line_of_the_log_is_json(service: Service, photos: list[bytes]) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="p"; filename="p"\r\n\r\n' + photos[0] + b"\r\n--x--\r\n"
    assert service.post(content=form + b"more" * 99, headers=FORM).status_code == 200
    with service.connect() as connection:
        connection.sendall(b"no HTTP\r\n\r\n")
        received(connection)
    service.wait_for("Invalid HTTP request received.")
    assert [entry for entry in service.log if entry.keys() == {"event"}] == []


@pytest.fixture(scope="module")
def small() -> Any:
    """A service that takes on little: one photo at once, 20,000 bytes, a second."""
    arguments = ("--max-queue", "1", "--max-photos", "1", "--max-request-bytes", "20000", "--seconds", "1.5")
    with Service(*arguments) as running:
        yield running


def head(*lines: str) -> bytes:
    first = ("POST /v1/predict HTTP/1.1", "Host: localhost", "Content-Type: image/jpeg")
    return "\r\n".join((*first, *lines, "", "")).encode()


@pytest.mark.parametrize("sent", [b"no HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n"])
def test_what_is_no_request_is_refused_as_others_are(small: Service, sent: bytes) -> None:
    with small.connect() as connection:
        connection.sendall(sent)
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
    assert b'"code":"http"' in answer


def test_too_many_bytes_are_refused_before_they_are_sent(small: Service) -> None:
    for lines in (("Content-Length: 20001",), ("Content-Length: 99999999999", "Expect: 100-continue")):
        with small.connect() as connection:
            connection.sendall(head(*lines))
            answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"too_large"' in answer
        assert b"\r\nconnection: close\r\n" in answer.lower()


def test_too_many_bytes_of_a_chunked_body_are_refused_while_they_come(small: Service) -> None:
    with small.connect() as connection:
        connection.sendall(head("Transfer-Encoding: chunked") + b"5000\r\n" + bytes(0x5000) + b"\r\n")
        assert b"HTTP/1.1 413 " in received(connection)


def test_a_client_that_sends_all_of_too_much_can_read_why(small: Service) -> None:
    response = small.post(content=bytes(39_000), headers=JPEG)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_a_full_queue_refuses_before_the_body_is_sent(small: Service) -> None:
    with small.connect() as slow, small.connect() as other:
        slow.sendall(head("Content-Length: 10000") + b"x")
        wait_until(lambda: small.metric("aiface_queue_photos") == 1)
        other.sendall(head("Content-Length: 10000"))
        answer = received(other)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"queue_full"' in answer
        assert re.search(rb"\r\nretry-after: [1-9]\d*\r\n", answer)
        assert received(slow).startswith(b"HTTP/1.1 408 ")  # the first one is too slow
    assert small.metric("aiface_queue_photos") == 0
    assert small.post(content=picture(0), headers=JPEG).status_code == 200


@pytest.mark.parametrize("size", [10_000, 500_000])
def test_a_connection_is_used_again_after_a_refusal(size: int) -> None:
    with Service("--max-queue", "1", "--max-photos", "1") as service, service.connect() as slow:
        slow.sendall(head("Content-Length: 10000") + b"x")
        wait_until(lambda: service.metric("aiface_queue_photos") == 1)
        with closing(HTTPConnection("127.0.0.1", service.port, timeout=30)) as connection:
            used = set()
            for _ in range(3):
                connection.request("POST", "/v1/predict", bytes(size), JPEG)
                refused = connection.getresponse()
                assert (refused.status, json.loads(refused.read())["code"]) == (503, "queue_full")
                connection.request("GET", "/readyz")
                assert connection.getresponse().read() == b'{"phase":"ready"}'
                used.add(connection.sock)
        assert len(used) == 1


def test_a_connection_ends_after_a_refusal_where_the_body_may_be_endless(small: Service) -> None:
    with small.connect() as slow, small.connect() as other:
        slow.sendall(head("Content-Length: 10000") + b"x")
        wait_until(lambda: small.metric("aiface_queue_photos") == 1)
        other.sendall(head("Transfer-Encoding: chunked") + b"5\r\nabcde\r\n")
        answer = received(other)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nconnection: close\r\n" in answer.lower()
        assert received(slow).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"POST /v1/pre", b"POST / HTTP/1.1\r\nHost: "])
def test_headers_that_do_not_come_end_the_connection(small: Service, sent: bytes) -> None:
    with small.connect() as connection:
        connection.sendall(sent)
        assert received(connection) == b""


def test_a_client_that_leaves_is_no_longer_waited_for(small: Service) -> None:
    with small.connect() as connection:
        connection.sendall(head("Content-Length: 10000", "X-Request-ID: left") + b"x")
    assert small.wait_for("request", request_id="left")["status"] == 499
    wait_until(lambda: small.metric("aiface_queue_photos") == 0)


def test_only_who_has_the_token_is_answered(photos: list[bytes]) -> None:
    with Service(environment={"AIFACE_TOKEN": "correct-horse"}) as service:
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic correct-horse"}):
            response = service.post(content=photos[0], headers=JPEG | header)
            assert (response.status_code, response.json()["code"]) == (401, "no_token")
            assert response.headers["WWW-Authenticate"] == "Bearer"
            for path in ("/v1/model", "/metrics", "/openapi.json", "/none"):
                assert service.get(path, headers=header).status_code == 401
        token = {"Authorization": "Bearer correct-horse"}
        assert service.post(content=photos[0], headers=JPEG | token).status_code == 200
        assert service.get("/v1/model", headers=token | {"Host": "service.example"}).status_code == 200
        assert service.get("/openapi.json", headers=token).json()["security"] == [{"token": []}]
        assert [service.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
        assert "correct-horse" not in str(service.log)


WRONG = {
    "beyond this machine without a token": (["--host", "0.0.0.0"], {}, "AIFACE_TOKEN"),
    "beyond it by IPv6": (["--host", "::"], {}, "AIFACE_TOKEN"),
    "an empty token": (["--host", "0.0.0.0"], {"AIFACE_TOKEN": ""}, "AIFACE_TOKEN"),
    "a token with a space": ([], {"AIFACE_TOKEN": "a b"}, "AIFACE_TOKEN"),
    "no such host": (["--host", "256.1.1.1"], {}, "--host"),
    "an address of another machine": (["--host", "192.0.2.1"], {"AIFACE_TOKEN": "a"}, "--host"),
    "a port that is none": (["--port", "70000"], {}, "--port"),
    "no batch": (["--max-batch", "0"], {}, "--max-batch"),
    "more photos than the queue": (["--max-photos", "65"], {}, "--max-photos"),
    "no time": (["--seconds", "0"], {}, "--seconds"),
    "an unknown operating point": (["--operating-point", "none"], {}, "operating point"),
    "the same of several processes": (["--operating-point", "none", "--workers", "2"], {}, "operating point"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_start_is_one_line(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, environment, named = WRONG[case]
    monkeypatch.delenv("AIFACE_TOKEN", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = aiface("serve", "--port", "0", *arguments)
    (line,) = [line for line in done.stderr.splitlines() if '"event": "listening"' not in line]
    assert done.returncode == 2
    assert line.startswith("aiface: ")
    assert named in line
    assert done.stdout == ""


def test_a_port_in_use_is_one_line(service: Service) -> None:
    done = aiface("serve", "--port", str(service.port))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "in use" in done.stderr


def test_a_model_that_is_not_there_ends_the_start() -> None:
    for more in ((), ("--workers", "2")):
        done = aiface("serve", "--port", "0", "--model", "none.onnx", *more)
        assert done.returncode == 3
        assert "neither a model file" in done.stderr


def wait_until(holds: Any) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)

"""The loopback server of the page: its headers, its media types, and what it refuses."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiface_runtime.errors import OutputError, UsageError
from aiface_runtime.static_server import PageServer
from tests.web.conftest import running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageServer]:
    folder = tmp_path / "site"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>page</title>")
    for name in ("a.wasm", "a.mjs", "a.js", "a.css", "a.onnx", "a.svg"):
        (folder / "assets" / name).write_bytes(b"content")
    (tmp_path / "secret.txt").write_text("secret")
    server = PageServer(folder)
    with running(server):
        yield server


def get(server: PageServer, path: str, host: str | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{server.server_port}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def test_it_listens_on_loopback_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize("path", ["/", "/assets/a.wasm", "/missing"])
def test_every_answer_has_the_headers(server: PageServer, path: str) -> None:
    _, headers, _ = get(server, path)
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert "script-src 'self' 'wasm-unsafe-eval';" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.wasm", "application/wasm"),
        ("a.mjs", "text/javascript"),
        ("a.js", "text/javascript"),
        ("a.css", "text/css"),
        ("a.onnx", "application/octet-stream"),
        ("a.svg", "image/svg+xml"),
    ],
)
def test_media_types_are_those_that_browsers_insist_on(server: PageServer, name: str, kind: str) -> None:
    status, headers, _ = get(server, f"/assets/{name}")
    assert (status, headers["content-type"]) == (200, kind)


@pytest.mark.parametrize("path", ["/assets/", "/../secret.txt", "/%2e%2e/secret.txt", "/assets/../../secret.txt"])
def test_nothing_else_is_served(server: PageServer, path: str) -> None:
    status, _, body = get(server, path)
    assert status == 404
    assert b"secret.txt" not in body
    assert b"a.wasm" not in body


def test_another_name_is_refused(server: PageServer) -> None:
    """A page elsewhere whose name is made to lead here may read nothing."""
    assert get(server, "/", f"evil.example:{server.server_port}")[0] == 421
    assert get(server, "/", f"localhost:{server.server_port}")[0] == 200


def test_without_a_page_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="make web"):
        PageServer(tmp_path)


def test_a_port_in_use_is_named(server: PageServer, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"port {server.server_port}: cannot be listened on"):
        PageServer(tmp_path / "site", server.server_port)

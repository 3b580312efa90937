"""The loopback server of the page: its headers, its media types, and what it refuses."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiface_runtime.cli import main
from aiface_runtime.errors import UsageError
from aiface_runtime.static_server import PAGE, PageServer
from tests.web.conftest import MAKE, running


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
    with pytest.raises(UsageError, match=f"port {server.server_port}: cannot be listened on"):
        PageServer(tmp_path / "site", server.server_port)


def test_the_command_serves_the_built_page() -> None:
    if not (PAGE / "index.html").is_file():
        pytest.skip(MAKE)
    command = [sys.executable, "-P", "-m", "aiface_runtime", "demo", "--browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert b"<title>" in answer.read()
                assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        finally:
            process.terminate()
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("words", [["--host", "0.0.0.0"], ["--model", "mine.onnx"]])
def test_it_is_served_on_this_machine_alone_with_its_own_model(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--browser", *words]) == 2
    assert "--browser" in capsys.readouterr().err

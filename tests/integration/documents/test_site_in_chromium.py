"""A browser that reads the site asks no other machine for anything, and finds what it searches for."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("mkdocstrings", reason="MkDocs comes with the extra 'docs'")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright comes with the environment of the page's tests"
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(Path(__file__).resolve().parents[3] / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_pages_and_search(address: str) -> None:
    asked, errors = [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        for name in ("index", "embed", "api", "threshold", "model/card", "changelog"):
            assert page.goto(f"{address}/{name}.html").ok
            page.wait_for_load_state("networkidle")
        page.keyboard.press("s")
        page.keyboard.type("glibc")
        page.locator(".md-search-result__link", has_text="old glibc").first.wait_for()
        browser.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert errors == []

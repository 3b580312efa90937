"""What the browser's tests share: the built package and page, servers of them, and Chromium."""

from __future__ import annotations

import base64
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aiface_runtime import Classifier
from aiface_runtime.static_server import PageServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
MODEL = ROOT / "models" / "aiface-lite0.onnx"
MAKE = "run `make web`, which needs node 20.19 or later and npm"

# The package without a bundler, as docs/web.md shows it.
IMPORT_MAP = """<!doctype html><title>aiface-web</title><script type="importmap">{"imports": {
  "aiface-web": "/dist/index.js", "#platform": "/dist/platform/browser.js",
  "onnxruntime-web/wasm": "/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs",
  "onnxruntime-web/webgpu": "/node_modules/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs"}}</script>"""
LOAD = """async (options) => {
  const { Classifier } = await import("aiface-web");
  window.classifier = await Classifier.load("/model.onnx", options);
  window.bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  window.attempt = async (run) => {
    try { return await run(); }
    catch (error) { return { error: { code: error.code, message: error.message } }; }
  };
}"""
PREDICT = "async ([text, method]) => attempt(() => classifier[method](bytes(text)))"


class _PackageHandler(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".wasm": "application/wasm"}

    def translate_path(self, path: str) -> str:
        return str(MODEL) if path == "/model.onnx" else super().translate_path(path)

    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(IMPORT_MAP.encode())
        return None

    def end_headers(self) -> None:
        if getattr(self.server, "isolated", True):
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    with server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def package() -> Path:
    """The folder `web/`, with the library built."""
    if not (WEB / "dist" / "index.js").is_file() or not (WEB / "node_modules").is_dir():
        pytest.skip(f"web/dist is not built: {MAKE}")
    return WEB


@pytest.fixture(scope="session")
def site() -> Path:
    """The built page."""
    if not (WEB / "site" / "index.html").is_file():
        pytest.skip(f"web/site is not built: {MAKE}")
    return WEB / "site"


@pytest.fixture(scope="session")
def site_url(site: Path) -> Iterator[str]:
    with running(PageServer(site)) as url:
        yield url


@pytest.fixture(scope="session")
def chromium_path() -> str:
    named = os.environ.get("AIFACE_TEST_CHROMIUM")
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    return (
        named
        or next(found, None)
        or pytest.skip("there is no Chromium here: install it, or name it in AIFACE_TEST_CHROMIUM")
    )


@pytest.fixture(scope="session")
def chromium(chromium_path: str) -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def open_package(package: Path, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page on which `classifier` is loaded; without `isolated` it has no shared memory."""
    handler = partial(_PackageHandler, directory=str(package))
    servers = {isolated: ThreadingHTTPServer(("127.0.0.1", 0), handler) for isolated in (True, False)}
    servers[False].isolated = False  # type: ignore[attr-defined]

    def open_page(
        options: dict[str, Any] | None = None,
        *,
        isolated: bool = True,
        before: str = "",
        browser: Browser = chromium,
    ) -> Page:
        page = browser.new_page()
        page.add_init_script(before)
        page.goto(f"http://127.0.0.1:{servers[isolated].server_port}/")
        page.evaluate(LOAD, options or {})
        return page

    with running(servers[True]), running(servers[False]):
        yield open_page


@pytest.fixture(scope="session")
def page(open_package: Callable[..., Page]) -> Page:
    """A page on which `classifier` is loaded."""
    return open_package()


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    """The Python runtime with the same file."""
    return Classifier(MODEL, device="cpu")


def predict(page: Page, data: bytes, method: str = "predict") -> dict[str, Any]:
    """Have the page answer for an encoded photo: a record, or one with nothing but an error."""
    answer: dict[str, Any] = page.evaluate(PREDICT, [base64.b64encode(data).decode(), method])
    return answer

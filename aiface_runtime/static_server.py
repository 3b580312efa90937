"""Serving the built browser page on this machine alone, with the headers that it runs best under."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import UsageError

if TYPE_CHECKING:
    from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "web" / "site"  # of a checkout, once `make web` has built it
_HOST = "127.0.0.1"
# Nothing comes from elsewhere, no script is written into the page, WebAssembly alone is compiled at run time; and the
# page is isolated from other origins, without which browsers give it no shared memory, and so no threads.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked anew each time, which on one machine costs nothing
}


class _Handler(SimpleHTTPRequestHandler):
    # Of the system's table some lack what browsers insist on.
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".css": "text/css",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript",
        ".json": "application/json",
        ".mjs": "text/javascript",
        ".onnx": "application/octet-stream",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
    }

    def send_head(self) -> Any:
        """Refuse requests under another name, with which a page elsewhere could read what is served here."""
        if self.headers.get("Host") not in self.server.names:  # type: ignore[attr-defined]
            self.send_error(421, "Misdirected Request")
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:  # noqa: ARG002 the base class's
        """Answer that there is nothing: folders are not listed."""
        self.send_error(404)

    def end_headers(self) -> None:
        """Add the headers to every answer, errors among them."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
        """Log nothing: what a person looks at is theirs."""


class PageServer(ThreadingHTTPServer):
    """A server of one folder on loopback; `serve_forever` answers until `shutdown` is called or it is interrupted.

    Args:
        folder: Folder with an `index.html`; a checkout's built page by default.
        port: Port to listen on; 0 for any that is free.

    Raises:
        UsageError: There is no such page, or the port cannot be listened on.
    """

    daemon_threads = True

    def __init__(self, folder: Path = PAGE, port: int = 0) -> None:
        if not (folder / "index.html").is_file():
            raise UsageError(f"{folder}: no built page; make it in a checkout with: make web")
        try:
            super().__init__((_HOST, port), partial(_Handler, directory=str(folder)))
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(f"port {port}: cannot be listened on ({reason}); choose another, or 0 for any") from error
        self.names = frozenset(f"{name}:{self.server_port}" for name in (_HOST, "localhost"))

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{_HOST}:{self.server_port}/"

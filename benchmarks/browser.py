"""`python -m benchmarks.browser`: what the browser page loads, and how long a photo takes in it.

Needs Chromium, playwright and the built page (`make web`).
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiface_runtime import Classifier
from aiface_runtime.static_server import PageServer

from . import synthetic_photos as photos
from .page import table

_SITE = Path(__file__).resolve().parents[1] / "web" / "site"
_WAIT = 120_000  # milliseconds
_ANSWERS = "performance.getEntriesByName('answer').map((entry) => entry.duration)"


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured in one browser.

    Attributes:
        browser: Name and version.
        threads: Threads of WASM on an isolated page.
        loaded_bytes: Bytes of the first load, until the page is ready, uncompressed as this server sends them.
        gzipped_bytes: Bytes of the same files as a server that compresses would send them.
        milliseconds: For each way of running it, for each photo, the median from question to answer.
    """

    browser: str
    threads: int
    loaded_bytes: int
    gzipped_bytes: int
    milliseconds: Mapping[str, Mapping[str, float]]


class _PlainHandler(SimpleHTTPRequestHandler):
    """A host that sends no header, under which a page has one thread."""

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


def main() -> int:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.browser", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser's program")
    parser.add_argument("--rounds", type=int, default=9, help="times that each photo is measured (default: 9)")
    parser.add_argument("--json", action="store_true", help="print JSON, as the results are recorded")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(photos.make(Path(folder)), args.chromium, args.rounds)
    print(json.dumps(asdict(result)) if args.json else as_table(result))
    return 0


def as_table(result: Result) -> str:
    """Return the result in Markdown."""
    names = next(iter(result.milliseconds.values())).keys()
    rows = [[way, *(f"{times[name]:.1f} ms" for name in names)] for way, times in result.milliseconds.items()]
    sizes = f"{result.loaded_bytes / 1e6:.1f} MB, {result.gzipped_bytes / 1e6:.1f} MB where the host compresses"
    return f"{result.browser}; the first load takes {sizes}.\n\n{table(['', *names], rows)}"


def measure(files: Mapping[str, Path], chromium: str | None, rounds: int) -> Result:
    """Measure the page with threads, without, and the Python runtime on one thread, in turn.

    Args:
        files: Photos by name.
        chromium: Program of the browser.
        rounds: Number of measurements of each photo; the first of each is left out.
    """
    from playwright.sync_api import sync_playwright

    classifier = Classifier(device="cpu", threads=1)
    plain = ThreadingHTTPServer(("127.0.0.1", 0), partial(_PlainHandler, directory=str(_SITE)))
    with _running(PageServer(_SITE)) as isolated, _running(plain) as single, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        pages = {"threads": _Page(browser.new_page(), isolated), "one thread": _Page(browser.new_page(), single)}
        times: dict[str, dict[str, list[float]]] = {way: {name: [] for name in files} for way in (*pages, "Python")}
        for name, file in files.items():
            for _ in range(rounds + 1):
                for way, page in pages.items():
                    times[way][name].append(page.ask(file))
                times["Python"][name].append(_ask_python(classifier, file))
        first = pages["threads"]
        medians = {
            way: {name: statistics.median(values[1:]) for name, values in kinds.items()} for way, kinds in times.items()
        }
        result = Result(
            f"Chromium {browser.version}", first.threads, sum(map(len, first.files)), first.gzipped, medians
        )
        browser.close()
    return result


def _ask_python(classifier: Classifier, file: Path) -> float:
    start = time.perf_counter()
    classifier.explain(file)
    return 1000 * (time.perf_counter() - start)


class _Page:
    """The page, opened; it notes the files of its first load."""

    def __init__(self, page: Any, url: str) -> None:
        loaded: dict[str, Any] = {}
        page.context.on("response", lambda response: loaded.setdefault(response.url, response))
        page.set_default_timeout(_WAIT)
        page.goto(url)
        page.wait_for_selector("#photo:enabled")
        # What the service worker fetches to keep it is not part of what the page waits for.
        waited_for = [response for name, response in [*loaded.items()] if not name.endswith("sw.js")]
        self.files = [response.body() for response in waited_for]
        self.threads = int(page.evaluate("crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1"))
        self._page = page

    @property
    def gzipped(self) -> int:
        """Bytes of the files, each compressed."""
        return sum(len(gzip.compress(file, 6)) for file in self.files)

    def ask(self, file: Path) -> float:
        """Choose a photo and return milliseconds from the question to the answer."""
        before = len(self._page.evaluate(_ANSWERS))
        self._page.set_input_files("#photo", [])
        self._page.set_input_files("#photo", file)
        self._page.wait_for_function(f"(before) => {_ANSWERS}.length > before", arg=before)
        return float(self._page.evaluate(_ANSWERS)[-1])


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[str]:
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


if __name__ == "__main__":
    sys.exit(main())

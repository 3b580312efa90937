"""The page of `aiface demo` as a person has it: the command in a process of its own, and headless Chromium.

Skipped where Gradio, playwright or Chromium is missing; `make test` runs them in an environment of their own.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

_REASON = "not installed: `make test` has an environment .venv/page for the page"
pytest.importorskip("gradio", reason=_REASON)
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=_REASON)
playwright = pytest.importorskip("playwright.sync_api", reason=_REASON)

MAX_BYTES = 4_000_000
# Ends the server, and so the test, when anything in it asks for an address that is not this machine's.
WATCHED = """
import os, sys
from aiface_runtime.cli import main

def watch(event, args):
    host = {"socket.connect": lambda: args[1][0], "socket.getaddrinfo": lambda: args[0]}.get(event, lambda: None)()
    if isinstance(host, (str, bytes)) and host not in ("127.0.0.1", "localhost", "::1", "0.0.0.0", b"127.0.0.1"):
        os.write(2, f"LEFT THE MACHINE: {event} {args}\\n".encode())

sys.addaudithook(watch)
sys.exit(main(["demo", *sys.argv[1:]]))
"""


@dataclass
class Demo:
    """A running `aiface demo`.

    Attributes:
        process: Process that serves.
        url: What it printed.
        folder: Folder for temporary files that it was given.
        messages: File that it writes its stderr to.
    """

    process: subprocess.Popen[str]
    url: str
    folder: Path
    messages: Path

    @property
    def leftovers(self) -> list[Path]:
        """Files that lie in its temporary folder."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def errors(self) -> str:
        return self.messages.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def start(folder: Path, *arguments: str) -> Demo:
    """Start the command and wait for the address that it prints."""
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    messages = folder.with_name(f"{folder.name}.stderr")
    command = [sys.executable, "-P", "-c", WATCHED, "--port", "0", "--device", "cpu", *arguments]
    with messages.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment)
    assert process.stdout is not None
    demo = Demo(process, process.stdout.readline().strip(), folder, messages)
    assert demo.url, demo.errors()
    return demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One server for all tests, with a low limit so that a huge file is quickly made."""
    running = start(tmp_path_factory.mktemp("demo"), "--limit", f"bytes={MAX_BYTES}")
    yield running
    assert running.stop() == 128 + signal.SIGTERM
    assert running.process.stdout is not None
    assert running.process.stdout.read() == ""  # stdout has the address and nothing else
    running.process.stdout.close()
    assert "LEFT THE MACHINE" not in running.errors()
    raised = re.findall(r"^[\w.]+(?:Error|Exception)\b.*", running.errors(), re.MULTILINE)
    assert [line for line in raised if "InvalidPathError" not in line] == []  # Gradio's refusal of what a test tries
    assert running.leftovers == []


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium here: scripts/install_chromium.sh says how to get it")
    options = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with playwright.sync_playwright() as engines:
        browser = engines.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


OpenTab = Callable[..., "Page"]


@pytest.fixture
def open_tab(chromium: Browser, demo: Demo) -> Iterator[OpenTab]:
    """Open the page; at the end, nothing went to another machine and no script failed."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def open_page(**options: Any) -> Page:
        context = chromium.new_context(accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda request: outside(request.url))
        page.on("pageerror", lambda error: problems.append(f"script: {error}"))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(demo.url)
        page.wait_for_selector(".aiface-form")
        return page

    def outside(url: str) -> None:
        if not url.startswith((demo.url, "data:", "blob:")):
            problems.append(f"request to {url}")

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def tab(open_tab: OpenTab) -> Page:
    return open_tab()


def send(page: Page, *photos: Path | dict[str, Any]) -> str:
    """Choose photos and return what the status line says when they are answered."""
    files: Any = list(photos)
    page.set_input_files(".aiface-form input[type=file]", files)
    return finished(page)


def finished(page: Page) -> str:
    """Wait until the page has answered, and return its status line."""
    page.wait_for_function(
        """() => {
            const busy = document.querySelector(".aiface-form").hasAttribute("aria-busy");
            return !busy && document.querySelector(".aiface-status").textContent;
        }"""
    )
    return page.inner_text(".aiface-status")


def findings(page: Page) -> list[str]:
    """Return what axe-core calls serious or critical."""
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 10  # it did look
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]

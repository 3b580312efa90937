"""The page of `aiface demo` as a person has it: the command in a process of its own, and headless Chromium.

Skipped where Gradio, playwright or Chromium is missing; `make test` runs them in an environment of their own.
"""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.demo_page import MAX_BYTES, Demo, start

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="session", autouse=True)
def page_environment() -> None:
    for module in ("gradio", "playwright", "axe_playwright_python"):
        pytest.importorskip(module, reason=f"{module} is not installed: the Makefile's .venv/page has it")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The drawn examples of the page as files."""
    from aiface_runtime.demo.examples import examples

    folder = tmp_path_factory.mktemp("photos")
    for example in examples():
        folder.joinpath(example.name).write_bytes(example.data)
    return {path.name: path for path in folder.iterdir()}


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
    from playwright.sync_api import sync_playwright

    with sync_playwright() as engines:
        browser = engines.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


@pytest.fixture
def open_tab(chromium: Browser, demo: Demo) -> Iterator[Callable[..., Page]]:
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
def tab(open_tab: Callable[..., Page]) -> Page:
    return open_tab()

"""The page in Chromium: what it shows, that nothing leaves it, that it works offline, by keyboard and on a phone."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from aiface_runtime import Classifier
from aiface_runtime.static_server import PageServer
from tests.web.conftest import running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

SECONDS = 60_000  # milliseconds that loading may take beside other work

INLINE_SCRIPT = """document.head.append(
  Object.assign(document.createElement("script"), { textContent: "window.ran = true" }))"""


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    yield context
    context.close()


def opened(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    page.goto(url)
    page.wait_for_selector("#photo:enabled")
    return page


def ask(page: Page, photo: Path) -> dict[str, Any]:
    """Choose a photo and return the record that is shown."""
    page.set_input_files("#photo", photo)
    page.wait_for_selector("#result:not([hidden])")
    record: dict[str, Any] = json.loads(page.locator("#record").text_content() or "")
    return record


def test_it_shows_what_python_answers(
    context: BrowserContext, site_url: str, classifier: Classifier, portrait: Path
) -> None:
    page = opened(context, site_url)
    record, expected = ask(page, portrait), classifier.predict(portrait)
    assert record["p_ai"] == pytest.approx(expected.p_ai, abs=1e-4)
    assert record["verdict"] == expected.verdict
    words = {"real": "Probably a real photo", "ai": "Probably AI-generated", "uncertain": "Uncertain"}
    assert page.locator("#verdict").text_content() == words[expected.verdict]
    percent = f"Probability of AI: {round(100 * expected.p_ai)} %"
    assert percent in (page.locator("#probability").text_content() or "")
    assert percent in (page.locator("#bar").get_attribute("aria-label") or "")
    assert portrait.name in (page.locator("#status").text_content() or "")
    band = page.locator("#band")
    point = classifier.manifest.operating_points["balanced"]
    assert float(band.get_attribute("x") or "") == pytest.approx(100 * point.real_below)
    assert float(band.get_attribute("width") or "") == pytest.approx(100 * (point.ai_from - point.real_below))


def test_the_map_can_be_taken_away(context: BrowserContext, site_url: str, portrait: Path) -> None:
    page = opened(context, site_url)
    ask(page, portrait)
    pixels = "document.getElementById('picture').toDataURL()"
    with_map = page.evaluate(pixels)
    page.locator("#map").uncheck()
    page.wait_for_function(f"(before) => {pixels} !== before", arg=with_map)


def test_no_face_is_said(context: BrowserContext, site_url: str, tmp_path: Path) -> None:
    photo = tmp_path / "grey.png"
    Image.new("RGB", (300, 400), (90, 120, 90)).save(photo)
    page = opened(context, site_url)
    record = ask(page, photo)
    assert (record["verdict"], record["warnings"]) == ("uncertain", ["no_face"])
    assert page.locator("#verdict").text_content() == "Uncertain: no face found"
    assert "no face" in (page.locator("#warnings").text_content() or "")


def test_a_file_that_is_no_photo_is_said(context: BrowserContext, site_url: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no photo")
    page = opened(context, site_url)
    page.set_input_files("#photo", file)
    page.wait_for_function("() => document.getElementById('status').textContent.startsWith('notes.txt: not a picture')")
    assert page.locator("#result").is_hidden()


def test_a_jpeg_without_its_end_is_judged(
    context: BrowserContext, site_url: str, portrait: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(portrait.read_bytes().rstrip(b"\0").removesuffix(b"\xff\xd9"))
    record = ask(opened(context, site_url), photo)
    assert record["error"] is None


def test_nothing_leaves_the_page(context: BrowserContext, site_url: str, portrait: Path) -> None:
    """Not to any other address, and with a photo in it not even to its own."""
    requests: list[Any] = []
    problems: list[str] = []

    def note(request: Any) -> None:  # playwright marks what it calls, which a method of a list does not let it
        requests.append(request)

    context.on("request", note)
    context.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: problems.append(str(error.error)))
    page = opened(context, site_url)
    page.wait_for_function("() => navigator.serviceWorker.controller")
    page.wait_for_load_state("networkidle")
    assert requests
    assert [request.url for request in requests if not request.url.startswith((site_url, "blob:"))] == []
    assert {(request.method, request.post_data) for request in requests} == {("GET", None)}
    before = len(requests)
    ask(page, portrait)
    assert [request.url for request in requests[before:]] == []
    assert problems == []  # a policy that is violated is such a message


def test_the_policy_holds(context: BrowserContext, site_url: str) -> None:
    page = opened(context, site_url)
    policies = page.evaluate(
        """async () => [(await fetch(location.href)).headers.get("content-security-policy"),
          document.querySelector("meta[http-equiv=Content-Security-Policy]").content]"""
    )
    for policy in policies:
        assert "default-src 'none'" in policy
        assert "script-src 'self' 'wasm-unsafe-eval';" in policy
        assert "unsafe-inline" not in policy
        assert "http" not in policy
    page.evaluate(INLINE_SCRIPT)
    assert page.evaluate("window.ran") is None
    assert page.evaluate("fetch('http://localhost:9/').catch((error) => error.name)") == "TypeError"


def test_it_works_without_a_network_after_the_first_load(
    context: BrowserContext, site_url: str, portrait: Path
) -> None:
    page = opened(context, site_url)
    page.wait_for_function("() => navigator.serviceWorker.controller")
    first = ask(page, portrait)
    page.close()
    context.set_offline(True)
    again = opened(context, site_url)
    assert again.evaluate("crossOriginIsolated")
    assert ask(again, portrait) == first


class _PlainHandler(SimpleHTTPRequestHandler):
    """As the plainest host serves it: no header that the page could wish for."""

    def log_message(self, *args: Any) -> None:
        pass


def test_it_can_be_hosted_in_a_subfolder_without_headers(
    context: BrowserContext, site: Path, portrait: Path, tmp_path: Path
) -> None:
    shutil.copytree(site, tmp_path / "some" / "where")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_PlainHandler, directory=str(tmp_path)))
    with running(server) as url:
        page = opened(context, f"{url}some/where/")
        assert not page.evaluate("crossOriginIsolated")
        assert "1 thread." in (page.locator("#model").text_content() or "")
        assert ask(page, portrait)["error"] is None
        page.close()


def test_the_keyboard_reaches_everything(context: BrowserContext, site_url: str, portrait: Path) -> None:
    page = opened(context, site_url)
    ask(page, portrait)
    page.locator("body").click(position={"x": 1, "y": 1})
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.localName"))
    assert reached[:3] == ["photo", "map", "summary"]
    page.locator("#map").focus()
    page.keyboard.press("Space")
    assert not page.locator("#map").is_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_nothing_and_it_fits_the_screen(
    context: BrowserContext, site_url: str, portrait: Path, scheme: Any, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(context, site_url)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    ask(page, portrait)
    page.locator("summary").click()
    violations = axe.run(page).response["violations"]
    assert [violation["id"] for violation in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    status = page.locator("#status")
    assert (status.get_attribute("role"), status.get_attribute("aria-live")) == ("status", "polite")


def test_the_server_can_be_stopped_while_the_page_is_open(context: BrowserContext, site: Path) -> None:
    server = PageServer(site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    opened(context, server.url)
    server.shutdown()
    server.server_close()
    thread.join(10)
    assert not thread.is_alive()

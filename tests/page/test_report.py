"""The page of `aiface scan --report` in a real browser: 10,000 photos, keyboard, maps, hostile names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import Classifier
from aiface_runtime.scan import ScanOptions, scan
from benchmarks.scan_report import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")

COUNT = 10_000
HOSTILE = (
    "<img src=x onerror=document.title='owned'>.jpg",
    "&lt;b&gt;'\".jpg",
    "</script><script>alert(1)<",
    "\u202egpj.exe",
)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("large"), COUNT)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of painted photos in three folders, with copies, files that are none, and names with markup."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(1)
    for number in range(12):
        file = folder / "photos" / "abc"[number % 3] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (5, 4, 3), np.uint8)
        Image.fromarray(coarse).resize((240, 300), Image.Resampling.BICUBIC).save(file)
    photo = (folder / "photos/a/0.jpg").read_bytes()
    hostile = folder / "photos" / "<b>markup"
    hostile.mkdir()
    for name in HOSTILE:
        (hostile / (name.replace("/", "\u2215") + ".jpg")).write_bytes(photo)
    (hostile / "<script>alert(2)</script>.jpg".replace("/", "\u2215")).write_text("none")
    with Classifier() as classifier:
        options = ScanOptions(report=folder / "report.html")
        scan(classifier, [folder / "photos"], folder / "answers.jsonl", options)
    return folder / "report.html"


Open = Callable[..., "Page"]


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Open]:
    """Open a page; at the end nothing was asked of the network, and no script failed or ran that should not."""
    contexts, problems = [], []

    def opened(file: Path, **options: Any) -> Page:
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"script: {error}"))
        page.on("console", lambda message: problems.append(message.text))
        page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: problems.append(request.url) if is_foreign(request.url) else None)
        page.goto(file.as_uri())
        page.wait_for_selector(".row img")
        return page

    def is_foreign(url: str) -> bool:
        return not url.startswith(("file:///", "data:"))

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def labels(page: Page) -> list[str]:
    rows = page.locator(".row")
    return [str(rows.nth(index).get_attribute("aria-label")) for index in range(rows.count())]


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label')"))


def test_the_most_suspicious_come_first_and_few_rows_are_in_the_document(large: Path, open_page: Open) -> None:
    page = open_page(large)
    answers = [json.loads(line) for line in large.with_name("answers.jsonl").read_text().splitlines()]
    ranked = sorted(answers, key=lambda record: -record["p_ai"])
    expected = [f"{record['input']}, {record['verdict']}, P(AI) {record['p_ai']:.3f}" for record in ranked]
    shown = labels(page)
    assert len(shown) < 40
    assert [", ".join(label.split(", ")[:3]) for label in shown] == expected[: len(shown)]
    assert page.inner_text("#status") == "10,000 of 10,000 photos shown"
    page.locator(".row").first.focus()
    page.keyboard.press("End")
    page.wait_for_selector('[aria-posinset="10000"] img')
    assert focused(page).startswith(ranked[-1]["input"])
    assert page.locator(".row").count() < 60


def test_nothing_leads_to_the_network(large: Path, small: Path) -> None:
    for page in (large, small):
        text = page.read_text("utf-8")
        assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:;' in text
        assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]|@import|url\(", re.sub(r'<script type="app.*', "", text))


def test_the_keyboard_alone(small: Path, open_page: Open) -> None:
    page = open_page(small)
    for _ in range(4 + 1):  # four verdicts at most, the folder
        page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.className.split(' ')[0]") != "row":
        page.keyboard.press("Tab")
    first = labels(page)[0]
    assert focused(page) == first
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("ArrowDown")
    assert focused(page) == labels(page)[1]
    page.keyboard.press("Enter")
    assert page.locator(".row:focus canvas").count() == 1
    page.keyboard.press("Tab")  # to its button
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.keyboard.press("Space")
    assert page.locator("canvas").count() == 0
    page.keyboard.press("Home")
    assert focused(page) == first


def test_the_map_is_the_one_of_the_answer(small: Path, open_page: Open) -> None:
    page = open_page(small)
    page.select_option("#folder", label=str(small.parent / "photos/c"))  # only rows near the window are there
    row = page.locator(".row", has_text="/c/2.jpg")
    assert page.locator("canvas").count() == 0
    row.get_by_role("button").click()
    pixels = page.evaluate(
        """() => {
            const canvas = document.querySelector("canvas");
            const context = canvas.getContext("2d");
            return [canvas.width, canvas.height, [...context.getImageData(0, 0, canvas.width, canvas.height).data]];
        }"""
    )
    width, height, data = pixels
    drawn = np.array(data, float).reshape(height, width, 4)
    with Classifier() as classifier:
        evidence = classifier.explain(small.parent / "photos/c/2.jpg").evidence
    peak = np.unravel_index(np.abs(evidence).argmax(), evidence.shape)
    middle = [
        int((index + 0.5) * side / cells)
        for index, side, cells in zip(peak, (height, width), evidence.shape, strict=True)
    ]
    red, _, blue, alpha = drawn[middle[0], middle[1]]
    assert (red > blue) == (evidence[peak] > 0)
    assert alpha == pytest.approx(0.65 * 255, abs=20)


def test_filters_by_verdict_and_folder(small: Path, open_page: Open) -> None:
    page = open_page(small)
    total = len(labels(page))
    assert page.inner_text("#status").startswith("17 of 17 photos shown")
    page.select_option("#folder", label=str(small.parent / "photos/b"))
    assert all("/photos/b/" in label for label in labels(page))
    assert page.inner_text("#status").startswith("4 of 17")
    page.select_option("#folder", label="all folders")
    for box in page.locator("#kinds input").all():
        if box.input_value() != "failed":
            box.uncheck()
    (label,) = labels(page)
    assert ", failed, no answer, " in label
    page.locator("#kinds input[value=failed]").uncheck()
    assert labels(page) == []
    for box in page.locator("#kinds input").all():
        box.check()
    assert len(labels(page)) == total


def test_names_with_markup_are_text(small: Path, open_page: Open) -> None:
    page = open_page(small)
    page.select_option("#folder", label=str(small.parent / "photos/<b>markup"))
    names = page.locator(".name").all_inner_texts()
    assert len(names) == 5
    assert any("<img src=x onerror=document.title='owned'>.jpg" in name for name in names)
    assert any(r"\u202egpj.exe" in name for name in names)
    assert page.title() == "Scan report: answers.jsonl"
    assert page.evaluate("document.querySelectorAll('.row b:not(.bar b), .row script, .name *').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 360])
def test_it_is_accessible_and_fits(scheme: str, width: int, small: Path, open_page: Open) -> None:
    page = open_page(small, color_scheme=scheme, viewport={"width": width, "height": 740})
    page.locator(".row button").first.click()
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    overlaps = page.evaluate(
        """() => [...document.querySelectorAll(".row")].filter((row) => {
            const [a, b] = [".text", "button"].map((name) => row.querySelector(name)?.getBoundingClientRect());
            return b && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
        }).length"""
    )
    assert overlaps == 0


def test_a_page_of_an_output_that_exists(small: Path, tmp_path: Path) -> None:
    """Pictures that are missing are drawn then; answers stay."""
    output = tmp_path / "answers.jsonl"
    output.write_bytes(small.with_name("answers.jsonl").read_bytes())
    with Classifier() as classifier:
        summary = scan(classifier, [], output, ScanOptions(resume=True, report=tmp_path / "report.html"))
    assert summary.answered == 0
    assert output.read_bytes() == small.with_name("answers.jsonl").read_bytes()
    data = r'"data">.*?</script>|id="part-\d+">.*?</script>'
    expected, made = (re.findall(data, page.read_text("utf-8")) for page in (small, tmp_path / "report.html"))
    assert made == expected

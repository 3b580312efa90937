"""Measure how long the page of a scan takes to open, in Chromium, with records that are made by code.

    python -m benchmarks.scan_report [--photos N] [--chromium FILE]

It needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from aiface_runtime import Classifier
from aiface_runtime.latency import Timing
from aiface_runtime.scan import ScanOptions, scan

_MASTERS = 20  # photos that are answered; the records of all others are made from theirs
_ROUNDS = 7


def write_page(folder: Path, count: int, directories: int = 20) -> Path:
    """Write an output of many records and its page.

    Args:
        folder: Empty folder to write to.
        count: Number of records.
        directories: Number of folders that their photos seem to lie in.

    Returns:
        The page.
    """
    output, page = folder / "answers.jsonl", folder / "report.html"
    options = ScanOptions(resume=True, report=page, report_photos=count)
    with Classifier() as classifier:
        scan(classifier, [_masters(folder / "photos")], output, options)
        masters = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
        random = Random(0)  # noqa: S311 no secret
        with output.open("w", encoding="utf-8") as file:
            for number in range(count):
                p_ai = random.random()
                verdict = "ai" if p_ai > 0.9 else "real" if p_ai < 0.2 else "uncertain"
                name = f"photos/{number % directories:02}/{number:06}.jpg"
                record = masters[number % len(masters)] | {"input": name, "p_ai": p_ai, "verdict": verdict}
                file.write(json.dumps(record) + "\n")
        scan(classifier, [], output, options)
    return page


def _masters(folder: Path) -> Path:
    """Write pictures whose small versions take about as many bytes as those of portraits."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(_MASTERS):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 5, 3), np.uint8)).resize((320, 400), Image.Resampling.BICUBIC)
        fine = Image.fromarray(rng.integers(0, 256, (130, 104, 3), np.uint8)).resize(coarse.size)
        Image.blend(coarse, fine, 0.18).save(folder / f"{number}.jpg", quality=90)
    return folder


def main() -> None:
    """Print the size of the page and the time until its first photos are seen, as JSON."""
    parser = argparse.ArgumentParser(description="Measure how long the page of a scan takes to open")
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        page = write_page(Path(name), args.photos)
        size = page.stat().st_size
        first = Timing.of(_times(page, args.chromium))
    print(json.dumps({"photos": args.photos, "megabytes": size / 1e6, "first_photos_ms": first.median}, indent=2))


def _times(page: Path, chromium: str) -> list[float]:
    """Open a page again and again; return seconds until pictures of its first rows are there."""
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as engines,
        engines.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        return [_time(browser.new_page(), page.as_uri()) for _ in range(_ROUNDS)]


def _time(tab: Any, address: str) -> float:
    start = time.perf_counter()
    tab.goto(address, wait_until="commit")
    tab.wait_for_selector(".row img")
    tab.evaluate("() => document.querySelector('.row img').decode()")  # the page's policy allows no text as a condition
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

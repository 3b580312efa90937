"""The picture of the page, beside its command: `python scripts/page_picture.py docs/demo.png`.

The public-domain portrait that matplotlib ships, on the page of `aiface demo` in headless Chromium. It needs the extras
cpu, demo and sample, playwright, and Chromium (`scripts/install_chromium.sh`).
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 900, 880  # of the window, in pixels
_PORTRAIT = "button[data-example='grace_hopper.jpg']"


def main(output: Path) -> None:
    """Start the page, try its portrait, and write what is seen."""
    command = [sys.executable, "-m", "aiface_runtime", "demo", "--port", "0", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 this library's own
        try:
            assert server.stdout is not None  # noqa: S101 it is a pipe
            picture = _seen(server.stdout.readline().strip())
        finally:
            server.terminate()
    palette = picture.quantize(128)  # a third of the size
    picture.quantize(palette=palette).save(output, optimize=True)


def _seen(url: str) -> Image.Image:
    """Return the page with the answer for the portrait."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(url)
        page.click(_PORTRAIT)
        page.wait_for_selector(".aiface-answer img")
        page.wait_for_function("() => [...document.images].every((image) => image.complete)")
        page.eval_on_selector(".aiface-answer", "answer => window.scrollTo(0, answer.getBoundingClientRect().top - 24)")
        data = page.screenshot()
        browser.close()
    return Image.open(io.BytesIO(data)).convert("RGB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

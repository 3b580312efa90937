"""The package scales and crops as Pillow does, to the bit."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import pytest

from aiface_runtime.preprocess import preprocess
from aiface_runtime.steps import FILTERS, CenterCrop, CenterCropToEven, Resize, ResizeShorter, Step, step_to_json

# Height and width: shrunk, enlarged, as it is, a strip, and one so tall that the pass down comes first.
SIZES = ((301, 203), (37, 50), (224, 224), (1, 30), (640, 481), (700, 230))


@dataclass(frozen=True, slots=True)
class Case:
    size: tuple[int, int]
    steps: tuple[Step, ...]
    box: tuple[float, float, float, float] | None = None


def cases() -> list[Case]:
    squashed = [Case(size, (Resize(224, 200, name),)) for size in SIZES for name in FILTERS]
    crops = [
        Case(size, (ResizeShorter(101, name), crop(98, 99)))
        for size in SIZES
        for name in ("bicubic", "bilinear", "lanczos")
        for crop in (CenterCrop, CenterCropToEven)
    ]
    boxes = [
        Case((251, 188), (ResizeShorter(60, name),), box)
        for name in ("bicubic", "nearest", "box")
        for box in ((0.0, 0.0, 187.5, 250.25), (0.5, 0.75, 188.0, 251.0))
    ]
    chosen = squashed + crops + boxes
    return chosen if int(PIL.__version__.split(".")[0]) >= 13 else [case for case in chosen if not down_first(case)]


def down_first(case: Case) -> bool:
    """Say whether Pillow 13 takes the pass down first, and those before it did not."""
    height, width = case.size
    step = case.steps[0]
    if isinstance(step, Resize):
        size = step.height, step.width
    else:
        assert isinstance(step, ResizeShorter)
        size = tuple(int(step.size * side / min(case.size)) for side in case.size)
    return size[0] < height and height - size[0] > 2 * (width - size[1])


def photo(size: tuple[int, int]) -> np.ndarray:
    """Return noise, with black and white areas, at whose edges a cubic overshoots."""
    pixels = np.random.default_rng(size[0]).integers(0, 256, (*size, 3), np.uint8)
    pixels[: size[0] // 3] = 255 * (pixels[: size[0] // 3] > 127)
    return pixels


def as_line(case: Case) -> str:
    rgb = base64.b64encode(photo(case.size).tobytes()).decode()
    steps = [step_to_json(step) for step in case.steps]
    return json.dumps({"rgb": rgb, "width": case.size[1], "height": case.size[0], "steps": steps, "box": case.box})


def test_every_filter_gives_pillows_pixels(package: Path) -> None:
    node = shutil.which("node")
    assert node is not None
    script = Path(__file__).with_name("preprocess.mjs")
    lines = "\n".join(map(as_line, cases()))
    done = subprocess.run([node, str(script)], input=lines, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.split("\n")]
    differences = []
    for case, answer in zip(cases(), answers, strict=True):
        expected = preprocess(photo(case.size), case.steps, case.box)
        made = np.frombuffer(base64.b64decode(answer["data"]), np.uint8).reshape(answer["height"], answer["width"], 3)
        if made.shape != expected.shape or (made != expected).any():
            differences.append((case, made.shape, expected.shape))
    assert differences == []


@pytest.mark.parametrize("name", FILTERS)
def test_the_photos_tell_the_filters_apart(name: str) -> None:
    """Otherwise the comparison above would not see one filter in the place of another."""
    others = [preprocess(photo((301, 203)), (Resize(224, 200, other),)).tobytes() for other in FILTERS if other != name]
    assert preprocess(photo((301, 203)), (Resize(224, 200, name),)).tobytes() not in others

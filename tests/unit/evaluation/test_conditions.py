"""Conditions: what is done to a photo before it is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from aiface_evaluation.conditions import CONDITIONS, RESAVED, views
from aiface_evaluation.dataset import Sample
from aiface_evaluation.names import CONDITION_NAMES
from aiface_runtime.images import load_rgb


def test_conditions_differ_and_repeat(portrait: Path) -> None:
    with Image.open(portrait) as opened:
        photo = opened.convert("RGB").resize((700, 900))
    pairs = {name: [condition.apply(photo) for _ in range(2)] for name, condition in CONDITIONS.items()}
    assert tuple(CONDITIONS) == CONDITION_NAMES
    assert all(first.tobytes() == second.tobytes() for first, second in pairs.values())
    assert {name: pair[0].size for name, pair in pairs.items()} == {
        "clean": (700, 900),
        "web": (398, 512),
        "hard": (273, 351),
    }
    small = photo.resize((100, 120))
    assert CONDITIONS["web"].apply(small).size == (100, 120), "nothing is enlarged for the web"
    pixels = [np.asarray(image.resize((90, 110)), dtype=float) for image in (small, CONDITIONS["web"].apply(small))]
    assert 0.2 < np.abs(pixels[0] - pixels[1]).mean() < 12, "the same picture with a codec's traces"
    sharpness = [
        np.abs(np.diff(np.asarray(pair[0].resize((398, 512)).convert("L"), float))).mean() for pair in pairs.values()
    ]
    assert sharpness[0] > sharpness[2]


def test_what_is_saved_again_keeps_its_pixels(portrait: Path) -> None:
    sample = Sample(portrait, "real", "s")
    jpeg, png, webp = (load_rgb(view) for view in views(sample, tuple(RESAVED)))  # type: ignore[misc]
    original = load_rgb(portrait)
    assert np.array_equal(png, original)
    assert np.array_equal(webp, original)
    assert 0 < np.abs(jpeg.astype(int) - original).mean() < 4
    assert views(sample, ("clean", "web"))[0] == portrait, "the runtime decodes a clean photo itself"

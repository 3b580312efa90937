"""Image statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_evaluation.dataset import Sample
from aiface_evaluation.image_stats import IMAGE_STATS, measure


def test_statistics_of_known_pictures(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    pictures = {
        "grey": np.full((80, 120, 3), 128, dtype=np.uint8),
        "red": np.full((80, 120, 3), (255, 0, 0), dtype=np.uint8),
        "noise": noise,
    }
    stats = {}
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        stats[name] = dict(zip(IMAGE_STATS, measure(Sample(tmp_path / f"{name}.png", "real", "s")), strict=True))
    assert stats["grey"] == {"brightness": 128.0, "size": 80.0, "sharpness": 0.0, "colourfulness": 0.0}
    assert stats["red"]["colourfulness"] == pytest.approx(0.3 * np.hypot(255, 127.5))
    assert stats["red"]["brightness"] == pytest.approx(76, abs=1)  # 0.299 of 255
    assert stats["noise"]["sharpness"] > 1000

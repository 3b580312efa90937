"""What tests of several packages share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SHARED = Path(__file__).resolve().parents[3] / "shared"


def paint(rng: np.random.Generator, width: int, height: int, *, ai: bool) -> Image.Image:
    """Paint a smooth random picture; the "AI" ones lack red, which a small network learns in a few steps."""
    coarse = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).copy()
    if ai:
        pixels[..., 0] //= 8
    return Image.fromarray(pixels)

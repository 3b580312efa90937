"""What can be measured of a photo from its pixels, without guessing at the people in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiface_runtime.images import load_rgb

from .dataset import Sample

_COMMON_SIDE = 224  # pixels: sharpness of photos of different sizes can be compared at one size only

IMAGE_STATS = {
    "brightness": "mean luma, 0 to 255",
    "size": "shorter side, px",
    "sharpness": f"variance of the Laplacian of luma at a shorter side of {_COMMON_SIDE} px",
    "colourfulness": "Hasler & Süsstrunk 2003, M3",
}


def measure(sample: Sample) -> tuple[float, ...]:
    """Measure a photo, in the order of `IMAGE_STATS`.

    Raises:
        InputError: The photo cannot be decoded.
    """
    photo = load_rgb(sample.path)
    luma = Image.fromarray(photo).convert("L")  # ITU-R 601
    return (float(np.asarray(luma).mean()), float(min(luma.size)), _sharpness(luma), _colourfulness(photo))


def _sharpness(luma: Image.Image) -> float:
    """Measure sharpness as in Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000."""
    scale = _COMMON_SIDE / min(luma.size)
    size = (round(luma.width * scale), round(luma.height * scale))
    y = np.asarray(luma.resize(size, Image.Resampling.BICUBIC), dtype=np.float64)
    laplacian = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] - 4 * y[1:-1, 1:-1]
    return float(laplacian.var())


def _colourfulness(photo: NDArray[np.uint8]) -> float:
    """Measure colourfulness, 0 (grey) to about 110 (Hasler & Süsstrunk, "Measuring colourfulness…", 2003)."""
    red, green, blue = photo.astype(np.float64).reshape(-1, 3).T
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    return float(np.linalg.norm(opponents.std(axis=1)) + 0.3 * np.linalg.norm(opponents.mean(axis=1)))

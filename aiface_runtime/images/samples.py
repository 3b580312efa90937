"""Whatever samples a picture has → RGB of 8 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image

_BACKGROUND = (255, 255, 255, 255)


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn any Pillow mode into RGB, keeping what an eye would see."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16-bit greyscale; convert("RGB") would saturate at 255
        samples = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.rint(samples / 257.0), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":  # float TIFF: [0, 1] by convention, else 8-bit values
        samples = np.nan_to_num(np.asarray(image).astype(np.float64))
        scale = 255.0 if samples.max() <= 1.0 else 1.0
        return Image.fromarray(np.clip(np.rint(samples * scale), 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:  # convert("RGB") would show the colours hidden under transparent pixels
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, _BACKGROUND), rgba).convert("RGB")
    return image.convert("RGB")

"""Photos changed on purpose, so that what is rare among labelled photos can be measured on them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from aiface_runtime.images import ImageInput

Change: TypeAlias = Callable[[Image.Image], ImageInput]

QUALITIES, SIDES, FACTORS = (20, 12, 8, 5), (60, 48, 32, 24), (2, 3, 5)
_SHIFTS, _SHARES = (0.5, 0.35, 0.25, 0.15), (0.95, 0.8, 0.5)
_SCREEN = (390, 844)  # points of a common phone
_LIGHT, _DARK = (255, 255, 255), (18, 18, 18)
_BASE = 384  # pixels of the longer side that radii are meant for


def changes() -> dict[str, Change]:
    """Return every change by its name: functions from an RGB photo to what a classifier gets."""
    named: dict[str, Change] = {f"JPEG {quality}": partial(_jpeg, quality=quality) for quality in QUALITIES}
    named |= {f"longer side {side} px": partial(_small, side=side) for side in SIDES}
    named |= {f"{factor} times as far away": partial(_far, factor=factor) for factor in FACTORS}
    named |= {f"washed out to {shift:g} of the contrast": partial(_washed_out, factor=shift) for shift in _SHIFTS}
    named |= {f"cut off after {share:.0%} of the data": partial(_cut, share=share) for share in _SHARES}
    named |= {
        "screenshot, light": partial(_screenshot, ground=_LIGHT),
        "screenshot, dark": partial(_screenshot, ground=_DARK),
    }
    return named | {
        "black borders to 16:9": _letterboxed,
        "grey": lambda photo: photo.convert("L").convert("RGB"),
        "warm colours": partial(_scaled, factors=(1.2, 1.0, 0.6)),
        "darkened to 0.15": partial(_scaled, factors=(0.15, 0.15, 0.15)),
        "contrast 0.35 around grey": lambda photo: photo.point(lambda level: 128 + (level - 128) * 0.35),
        "blurred by 4 px": lambda photo: photo.filter(ImageFilter.GaussianBlur(4 * max(photo.size) / _BASE)),
        "noise of 15 levels": _noisy,
        "turned by 90 degrees": lambda photo: photo.transpose(Image.Transpose.ROTATE_90),
        "upside down": lambda photo: photo.transpose(Image.Transpose.ROTATE_180),
    }


def changed(photo: Image.Image) -> Iterator[tuple[str, ImageInput]]:
    """Yield the name of each change and the photo that it makes."""
    for name, change in changes().items():
        yield name, change(photo)


def _jpeg(photo: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _small(photo: Image.Image, side: float) -> Image.Image:
    scale = side / max(photo.size)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    return photo.resize(size, Image.Resampling.LANCZOS)


def _far(photo: Image.Image, factor: float) -> Image.Image:
    """Lay a small copy on a blurred ground of the same photo."""
    ground = photo.filter(ImageFilter.GaussianBlur(max(photo.size) / 12))
    small = _small(photo, max(photo.size) / factor)
    ground.paste(small, ((photo.width - small.width) // 2, (photo.height - small.height) // 2))
    return ground


def _washed_out(photo: Image.Image, factor: float) -> Image.Image:
    return photo.point(lambda level: 255 - (255 - level) * factor)


def _scaled(photo: Image.Image, factors: tuple[float, float, float]) -> Image.Image:
    return photo.point([min(255, round(level * factor)) for factor in factors for level in range(256)])


def _cut(photo: Image.Image, share: float) -> bytes:
    data = _jpeg(photo, 85)
    start = data.index(b"\xff\xda")
    return data[: start + int(share * (len(data) - start))] + b"\xff\xd9"


def _screenshot(photo: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
    """Show the photo on a phone's screen, as wide as that is."""
    screen = Image.new("RGB", _SCREEN, ground)
    wide = ImageOps.contain(photo, _SCREEN, Image.Resampling.BILINEAR)
    screen.paste(wide, ((_SCREEN[0] - wide.width) // 2, (_SCREEN[1] - wide.height) // 2))
    return screen


def _letterboxed(photo: Image.Image) -> Image.Image:
    width = max(photo.width, photo.height * 16 // 9)
    return ImageOps.pad(photo, (width, photo.height), Image.Resampling.BILINEAR)


def _noisy(photo: Image.Image) -> Image.Image:
    pixels = np.asarray(photo)
    noise = np.random.default_rng(0).normal(0, 15, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))

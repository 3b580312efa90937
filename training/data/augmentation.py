"""The random chain that both classes go through before the network sees them.

The data's shortcuts (container, size, JPEG history, alignment, tonal style) must tell the classes apart no better than
chance after this chain, so each step is drawn independently of the label and wide enough to cover every source.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps, ImageStat

_FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)


@dataclass(frozen=True)
class Augmentation:
    """Crop, style, resample, recode; then the network's square size.

    Attributes:
        size: Side of the square result, in pixels. Crops make faces larger than whole photos show them; a somewhat
            smaller size than in use makes up for that (Touvron et al., "Fixing the train-test resolution discrepancy",
            2019).
        weak: Share of the examples that are only cropped a little, shrunk a little and recoded well, so that fine
            traces survive to be learned; the others go through everything.
        weak_pairs: The same of twin pairs, at the start of a run and at its end.
        resize_range: Larger photos are first shrunk to a random shorter side from the first to the second of these, in
            pixels, so that a source's resolution says less of it; None for photos as they are.
        min_area: Smallest share of the photo's area that a crop keeps, in the full chain.
        small: Shortest side that the full chain may shrink a photo to, in pixels.
        recode: Chance of a JPEG or WebP pass; the full chain may do two.
        style: Chance of each tonal change (exposure, contrast, colour, gamma and temperature).
        colour_transfer: Chance of taking on the tone of another photo, of either label: cinematic becomes plain.
    """

    size: int = 224
    weak: float = 0.0
    weak_pairs: tuple[float, float] = (0.6, 0.0)
    resize_range: tuple[int, int] | None = None
    min_area: float = 0.35
    small: int = 96
    recode: float = 0.6
    style: float = 0.4
    colour_transfer: float = 0.0

    def __post_init__(self) -> None:
        if np.shape(self.weak_pairs) != (2,):
            raise TypeError("gentle_pairs: two shares, at the start and at the end")

    def __call__(
        self, image: Image.Image, rng: np.random.Generator, *, weak: bool = False, other: Image.Image | None = None
    ) -> Image.Image:
        """Turn an RGB photo of any size into a `size` x `size` training example; `other` may lend its tone."""
        if other and rng.random() < self.colour_transfer:
            image = _in_the_tone_of(other, image, rng.uniform(0.4, 1.0))
        if self.resize_range and (resize_range := _between(*self.resize_range, rng)) < min(image.size):
            image = _to_shorter(image, resize_range, rng)
        if rng.random() < 0.5:
            image = ImageOps.mirror(image)
        augmentation = self._weakly if weak else self._strongly
        return augmentation(image, rng).resize((self.size, self.size), Image.Resampling.BICUBIC)

    def _weakly(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        image = _crop(image, 0.7, rng)
        image = _style(image, self.style / 2, rng)
        image = _resample(image, round(0.75 * min(image.size)), min(image.size), rng)
        return _recode(image, 75, rng) if rng.random() < self.recode else image

    def _strongly(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        image = _crop(image, self.min_area, rng)
        image = _style(image, self.style, rng)
        if rng.random() < self.recode / 2:  # a first life: recoded before it is resized
            image = _recode(image, 35, rng)
        image = _resample(image, self.small, round(1.5 * min(image.size)), rng)
        image = _frame(_soften(image, rng), rng)
        return _recode(image, 35, rng) if rng.random() < self.recode else image


def _crop(image: Image.Image, min_area: float, rng: np.random.Generator) -> Image.Image:
    """A box of random area, aspect ratio (4:5 to 5:4) and place, so that framing and alignment say nothing."""
    area = rng.uniform(min_area, 1.0) * image.width * image.height
    ratio = np.exp(rng.uniform(np.log(0.8), np.log(1.25)))
    width = min(image.width, round(np.sqrt(area * ratio)))
    height = min(image.height, round(np.sqrt(area / ratio)))
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _style(image: Image.Image, chance: float, rng: np.random.Generator) -> Image.Image:
    """Cinematic to plain and back: exposure, contrast, saturation, gamma, colour temperature, black and white."""
    for enhance, low, high in (
        (ImageEnhance.Brightness, 0.7, 1.3),
        (ImageEnhance.Contrast, 0.6, 1.4),
        (ImageEnhance.Color, 0.4, 1.6),
    ):
        if rng.random() < chance:
            image = enhance(image).enhance(rng.uniform(low, high))
    if rng.random() < chance:
        levels = np.arange(256) / 255.0
        gamma = np.exp(rng.uniform(-0.35, 0.35))
        gains = 1.0 + rng.uniform(-0.12, 0.12, size=3)
        curves = np.clip(255.0 * gains[:, None] * levels**gamma, 0, 255)
        image = image.point(curves.astype(int).ravel().tolist())
    if rng.random() < 0.03:
        image = ImageOps.grayscale(image).convert("RGB")
    return image


def _in_the_tone_of(other: Image.Image, image: Image.Image, share: float) -> Image.Image:
    """Mean and spread of brightness and colours go a share of the way to another photo's (Reinhard et al., 2001)."""
    image = image.convert("YCbCr")
    ours, theirs = ImageStat.Stat(image), ImageStat.Stat(other.convert("YCbCr"))
    levels = np.arange(256)
    curves = []
    for mean, spread, target, target_spread in zip(ours.mean, ours.stddev, theirs.mean, theirs.stddev, strict=True):
        gain = np.clip((target_spread + 1) / (spread + 1), 0.5, 2.0)  # beyond that noise and banding would tell
        moved = (levels - mean) * gain + target
        curves.append(np.clip((1 - share) * levels + share * moved, 0, 255))
    return image.point(np.concatenate(curves).astype(int).tolist()).convert("RGB")


def _resample(image: Image.Image, small: int, large: int, rng: np.random.Generator) -> Image.Image:
    """To a random shorter side between the two: no source keeps its own resolution."""
    return _to_shorter(image, _between(min(small, large), max(small, large), rng), rng)


def _between(small: int, large: int, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(small), np.log(large))))


def _to_shorter(image: Image.Image, shorter: float, rng: np.random.Generator) -> Image.Image:
    scale = shorter / min(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, _FILTERS[rng.integers(len(_FILTERS))])


def _soften(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Now and then a blur, a sharpening or sensor-like noise."""
    draw = rng.random()
    if draw < 0.1:
        return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    if draw < 0.2:
        return image.filter(ImageFilter.UnsharpMask(rng.uniform(0.5, 2.0), int(rng.integers(30, 130)), 2))
    if draw < 0.3:
        pixels = np.asarray(image, dtype=np.float32)
        pixels = pixels + rng.normal(0.0, rng.uniform(1.0, 8.0), pixels.shape).astype(np.float32)
        return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    return image


def _frame(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Now and then bars of one colour, as screenshots and letterboxed pictures have them."""
    if rng.random() >= 0.05:
        return image
    left, top, right, bottom = (int(rng.uniform(0.0, 0.1) * min(image.size)) for _ in range(4))
    colour = tuple(int(resize_range) for resize_range in rng.integers(0, 256, size=3))
    return ImageOps.expand(image, (left, top, right, bottom), fill=colour)


def _recode(image: Image.Image, least: int, rng: np.random.Generator) -> Image.Image:
    """One lossy pass of quality `least` or better, mostly JPEG of any subsampling, sometimes WebP."""
    buffer = io.BytesIO()
    if rng.random() < 0.8:
        quality = int(rng.integers(least, 98))
        image.save(buffer, "JPEG", quality=quality, subsampling=int(rng.integers(0, 3)))
    else:
        image.save(buffer, "WEBP", quality=int(rng.integers(least, 98)), method=0)
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")

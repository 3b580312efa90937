"""The random augmentation that both classes go through before the network sees them.

The data's shortcuts (container, size, JPEG history, alignment, tonal style) must tell the classes apart no better than
chance after it, so each step is drawn independently of the label and wide enough to cover every source.
"""

from __future__ import annotations

import io
from typing import Annotated, Self, TypeAlias

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps, ImageStat
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]

_FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)


class Augmentation(BaseModel):
    """Crop, jitter the colours, resample, recompress; then the network's square size.

    Attributes:
        size: Side of the square result, in pixels. Crops make faces larger than whole photos show them; a somewhat
            smaller size than in use makes up for that (Touvron et al., "Fixing the train-test resolution discrepancy",
            2019).
        weak: Share of the examples that are only cropped a little, shrunk a little and recompressed well, so that fine
            traces survive to be learned; the others are augmented strongly.
        weak_pairs: Share of the reconstruction pairs that are augmented weakly, at the start of a run and at its end.
        resize_range: Range of the random shorter side that larger photos are first shrunk to, in pixels, so that a
            source's resolution says less of it; None for photos as they are.
        min_area: Smallest share of the photo's area that a strong crop keeps.
        min_size: Shortest side that a strong augmentation may shrink a photo to, in pixels.
        recompression: Chance of a JPEG or WebP pass; a strong augmentation may do two.
        colour_jitter: Chance of each tonal change (exposure, contrast, colour, gamma and temperature).
        colour_transfer: Chance of taking over the colours of another photo, of either label.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    size: PositiveInt = 224
    weak: Share = 0.0
    weak_pairs: tuple[Share, Share] = (0.6, 0.0)
    resize_range: tuple[PositiveInt, PositiveInt] | None = None
    min_area: Annotated[float, Field(gt=0, le=1)] = 0.35
    min_size: PositiveInt = 96
    recompression: Share = 0.6
    colour_jitter: Share = 0.4
    colour_transfer: Share = 0.0

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        if self.resize_range and self.resize_range[0] > self.resize_range[1]:
            raise ValueError(f"resize_range {list(self.resize_range)}: the smaller size comes first")
        return self

    def __call__(
        self, image: Image.Image, rng: np.random.Generator, *, weak: bool = False, other: Image.Image | None = None
    ) -> Image.Image:
        """Turn an RGB photo of any size into a `size` x `size` training example; `other` may lend its colours."""
        if other and rng.random() < self.colour_transfer:
            image = _transfer_colours(other, image, rng.uniform(0.4, 1.0))
        if self.resize_range and (side := _log_uniform(*self.resize_range, rng)) < min(image.size):
            image = _resize_shorter_side(image, side, rng)
        if rng.random() < 0.5:
            image = ImageOps.mirror(image)
        augment = self._weakly if weak else self._strongly
        return augment(image, rng).resize((self.size, self.size), Image.Resampling.BICUBIC)

    def _weakly(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        image = _crop(image, 0.7, rng)
        image = _jitter_colours(image, self.colour_jitter / 2, rng)
        image = _resample(image, round(0.75 * min(image.size)), min(image.size), rng)
        return _recompress(image, 75, rng) if rng.random() < self.recompression else image

    def _strongly(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        image = _crop(image, self.min_area, rng)
        image = _jitter_colours(image, self.colour_jitter, rng)
        if rng.random() < self.recompression / 2:  # a photo that was compressed once before it was resized
            image = _recompress(image, 35, rng)
        image = _resample(image, self.min_size, round(1.5 * min(image.size)), rng)
        image = _add_bars(_soften(image, rng), rng)
        return _recompress(image, 35, rng) if rng.random() < self.recompression else image


def _crop(image: Image.Image, min_area: float, rng: np.random.Generator) -> Image.Image:
    """Cut a box of random area, aspect ratio (4:5 to 5:4) and position, so that framing and alignment say nothing."""
    area = rng.uniform(min_area, 1.0) * image.width * image.height
    ratio = np.exp(rng.uniform(np.log(0.8), np.log(1.25)))
    width = min(image.width, round(np.sqrt(area * ratio)))
    height = min(image.height, round(np.sqrt(area / ratio)))
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _jitter_colours(image: Image.Image, chance: float, rng: np.random.Generator) -> Image.Image:
    """Change exposure, contrast, saturation, gamma and temperature by chance, or make it black and white."""
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


def _transfer_colours(other: Image.Image, image: Image.Image, share: float) -> Image.Image:
    """Move mean and spread of brightness and colours a share of the way to another photo's (Reinhard et al., 2001)."""
    image = image.convert("YCbCr")
    ours, theirs = ImageStat.Stat(image), ImageStat.Stat(other.convert("YCbCr"))
    levels = np.arange(256)
    curves = []
    for mean, spread, target, target_spread in zip(ours.mean, ours.stddev, theirs.mean, theirs.stddev, strict=True):
        gain = np.clip((target_spread + 1) / (spread + 1), 0.5, 2.0)  # beyond that, noise and banding would show
        moved = (levels - mean) * gain + target
        curves.append(np.clip((1 - share) * levels + share * moved, 0, 255))
    return image.point(np.concatenate(curves).astype(int).tolist()).convert("RGB")


def _resample(image: Image.Image, small: int, large: int, rng: np.random.Generator) -> Image.Image:
    """Resize to a random shorter side between the two, so that no source keeps its own resolution."""
    return _resize_shorter_side(image, _log_uniform(min(small, large), max(small, large), rng), rng)


def _log_uniform(small: int, large: int, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(small), np.log(large))))


def _resize_shorter_side(image: Image.Image, shorter: float, rng: np.random.Generator) -> Image.Image:
    scale = shorter / min(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, _FILTERS[rng.integers(len(_FILTERS))])


def _soften(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Blur, sharpen or add sensor-like noise, each in a tenth of the cases."""
    chance = rng.random()
    if chance < 0.1:
        return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    if chance < 0.2:
        return image.filter(ImageFilter.UnsharpMask(rng.uniform(0.5, 2.0), int(rng.integers(30, 130)), 2))
    if chance < 0.3:
        pixels = np.asarray(image, dtype=np.float32)
        pixels = pixels + rng.normal(0.0, rng.uniform(1.0, 8.0), pixels.shape).astype(np.float32)
        return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    return image


def _add_bars(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add bars of one colour in a twentieth of the cases, as screenshots and letterboxed pictures have them."""
    if rng.random() >= 0.05:
        return image
    left, top, right, bottom = (int(rng.uniform(0.0, 0.1) * min(image.size)) for _ in range(4))
    colour = tuple(int(level) for level in rng.integers(0, 256, size=3))
    return ImageOps.expand(image, (left, top, right, bottom), fill=colour)


def _recompress(image: Image.Image, min_quality: int, rng: np.random.Generator) -> Image.Image:
    """Compress once at `min_quality` or better, mostly as JPEG of any subsampling, sometimes as WebP."""
    buffer = io.BytesIO()
    if rng.random() < 0.8:
        quality = int(rng.integers(min_quality, 98))
        image.save(buffer, "JPEG", quality=quality, subsampling=int(rng.integers(0, 3)))
    else:
        image.save(buffer, "WEBP", quality=int(rng.integers(min_quality, 98)), method=0)
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")

"""Whatever samples a picture has → RGB of 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind: TypeAlias = Literal["unsigned", "signed", "float"]

_BACKGROUND = (255, 255, 255, 255)
_STRIP = 2**18  # pixels that are converted at a time, so that no copy of the whole picture is made


@dataclass(frozen=True, slots=True)
class Samples:
    """What the samples of a picture of one channel mean.

    Attributes:
        kind: Sort of number.
        bits: Bits of a sample; its range is that of such a number, of float samples 0 to 1, or to 255 or 65,535.
        white_is_zero: Whether the lowest value is white.
    """

    kind: Kind
    bits: int
    white_is_zero: bool = False


def to_rgb(image: Image.Image, samples: Samples | None = None) -> Image.Image:
    """Turn any Pillow mode into RGB, keeping what an eye would see.

    Args:
        image: A decoded picture.
        samples: Meaning of its samples, where the mode does not say it; in the modes of more than 8 bits they are
            taken as 16 unsigned bits, and as floats.

    Raises:
        ValueError: The mode cannot be converted, or the range of float samples is in doubt.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if samples is None and image.mode.startswith("I"):
        samples = Samples("unsigned", 16)
    elif samples is None and image.mode == "F":
        samples = Samples("float", 32)
    if samples:
        convert = _from_floats(image, samples) if samples.kind == "float" else _from_integers(image, samples)
        return _by_strips(image, lambda strip: Image.fromarray(convert(np.asarray(strip))))
    if image.mode == "La":  # premultiplied: white shows through by what alpha lacks
        return _by_strips(image, lambda strip: Image.fromarray(_on_white(np.asarray(strip))))
    if image.has_transparency_data:  # convert("RGB") would show the colours hidden under transparent pixels
        return _by_strips(image, _composite)
    return image.convert("RGB")


def _by_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert some rows at a time, to RGB."""
    width, height = image.size
    rows = max(1, _STRIP // width)
    if rows >= height:
        return convert(image).convert("RGB")
    whole = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        # resize, for crop asks Image.MAX_IMAGE_PIXELS, which is the application's
        strip = image.resize((width, bottom - top), Image.Resampling.NEAREST, (0, top, width, bottom))
        whole.paste(convert(strip).convert("RGB"), (0, top))
    return whole


def _composite(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, _BACKGROUND), rgba)


def _on_white(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    light: NDArray[np.uint16] = samples[..., 0] + np.uint16(255) - samples[..., 1]
    return np.minimum(255, light).astype(np.uint8)


def _from_integers(image: Image.Image, samples: Samples) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    lowest = -(2 ** (samples.bits - 1)) if samples.kind == "signed" else 0
    step = (2**samples.bits - 1) / 255
    transparent = image.info.get("transparency")

    def convert(values: NDArray[Any]) -> NDArray[np.uint8]:
        if values.dtype == np.uint8 and lowest:  # signed 8 bits as Pillow hands them out
            values = values.view(np.int8)
        if samples.kind == "unsigned" and samples.bits == 32:
            values = values.view(np.uint32)
        levels = np.clip(np.rint((values.astype(np.float64) - lowest) / step), 0, 255).astype(np.uint8)
        levels = 255 - levels if samples.white_is_zero else levels
        return np.where(values == transparent, np.uint8(255), levels) if isinstance(transparent, int) else levels

    return convert


def _from_floats(image: Image.Image, samples: Samples) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """Take samples up to 1 as 0 to 1, what filters leave above it as the new white, others as 8 or 16 bits.

    Raises:
        ValueError: It cannot be told which.
    """
    extrema = image.getextrema()
    highest = float(np.nan_to_num(np.float64(extrema[1]), nan=np.inf, posinf=np.inf))  # type: ignore[arg-type]
    if not np.isfinite(highest):
        values = np.asarray(image)
        highest = float(np.max(values, where=np.isfinite(values), initial=0.0))
    if 1.1 < highest < 16.0 or highest > 65536.0:
        raise ValueError(f"float samples up to {highest:g} are neither 0 to 1 nor 0 to 255")
    scale = 255.0 / max(1.0, highest) if highest <= 1.1 else 1.0 if highest <= 256.0 else 1 / 257

    def convert(values: NDArray[Any]) -> NDArray[np.uint8]:
        finite = np.nan_to_num(values.astype(np.float64), posinf=2 * highest + 1)
        levels = np.clip(np.rint(finite * scale), 0, 255).astype(np.uint8)
        return 255 - levels if samples.white_is_zero else levels

    return convert

"""What can be known of a photo's file, from its bytes or from the traces that it left in the pixels."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

Features = NDArray[np.float64]

_SMALL = 48  # px; too few for blocks, sub-sampled colour or the size of the file to show, enough for what is depicted
_BANDS = 8


def file_features(data: bytes) -> Features:
    """Return features of an encoded photo that need no look at its pixels.

    Returns:
        float64 `[10]`: bytes, bytes a pixel, width, height, aspect ratio, mean step of the first and of the last JPEG
        quantisation table (NaN where there is none), sub-sampling (0 to 2 as Pillow counts, -1 for none), progressive,
        and whether there is EXIF.
    """
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        tables = getattr(image, "quantization", None) or {}
        steps = [float(np.mean(table)) for _, table in sorted(tables.items())] or [math.nan]
        sampling = JpegImagePlugin.get_sampling(image) if isinstance(image, JpegImagePlugin.JpegImageFile) else -1
        progressive = float(bool(image.info.get("progressive")))
        exif = float(bool(image.getexif()))
    size, shape = float(len(data)), (float(width), float(height), width / height)
    return np.array([size, size / (width * height), *shape, steps[0], steps[-1], sampling, progressive, exif])


def encoded_features(image: Image.Image) -> Features:
    """Return features of a picture that has no file.

    Returns:
        float64 `[3]`: width, height, and its bytes when saved by one fixed encoder (JPEG 90, 4:4:4).
    """
    return np.array([*image.size, len(encoded(image, 90, 0))], dtype=np.float64)


def content_features(image: Image.Image) -> Features:
    """Return how busy a photo is when it is so small that nothing of its file can show.

    Returns:
        float64 `[3]`, those of `encoded_features` at 48 x 48 px.
    """
    return encoded_features(image.resize((_SMALL, _SMALL), Image.Resampling.BOX))


def encoded(image: Image.Image, quality: int, subsampling: int) -> bytes:
    """Return a JPEG file that holds nothing but the picture."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def grid_traces(image: Image.Image) -> Features:
    """Return how strongly a block codec's grid shows, along either axis, at its own size and at any other.

    The mean absolute difference of neighbouring columns (rows) jumps where blocks meet (Fan and de Queiroz,
    "Identification of bitmap compression history", 2003). Its largest phase over its mean tells a grid of 8; a photo
    resized after it was encoded has another period, which is a peak of the profile's spectrum.

    Returns:
        float64 `[6]`: for columns, then rows: largest phase of 8, that phase, highest peak of periods from 4 to 32.
    """
    luma = np.asarray(image.convert("L"), dtype=np.float64)
    return np.concatenate([_grid(np.abs(np.diff(plane, axis=1)).mean(axis=0)) for plane in (luma, luma.T)])


def _grid(profile: Features) -> Features:
    by_phase = profile[: len(profile) // 8 * 8].reshape(-1, 8).mean(axis=0)
    smooth = np.convolve(profile, np.full(9, 1 / 9), mode="same")
    spectrum = np.abs(np.fft.rfft((profile - smooth)[4:-4]))
    count = len(profile) - 8
    peaks = spectrum[count // 32 : count // 4 + 1]
    return np.array(
        [by_phase.max() / max(by_phase.mean(), 1e-9), by_phase.argmax(), peaks.max() / max(spectrum.mean(), 1e-9)]
    )


def spectrum_traces(image: Image.Image) -> Features:
    """Return how much there is of each fineness, in brightness and in colour.

    The finest bands tell how large a photo once was and how its colour was sub-sampled. They also tell what is
    depicted, how sharp the camera was, and what a generator's decoder left: which of these, only a planted difference
    can say.

    Returns:
        float64 `[24]`: log power in 8 rings from coarse to fine, of Y, Cb and Cr, less that of the whole.
    """
    planes = np.asarray(image.convert("YCbCr"), dtype=np.float64).transpose(2, 0, 1)
    height, width = planes.shape[1:]
    window = np.outer(np.hanning(height), np.hanning(width))
    power = np.abs(np.fft.fft2((planes - planes.mean(axis=(1, 2), keepdims=True)) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    ring = np.minimum((2 * radius * _BANDS).astype(int), _BANDS - 1)
    rings = np.stack([np.bincount(ring.ravel(), plane.ravel(), _BANDS) for plane in power]) + 1e-9
    shares: Features = np.log(rings / rings.sum(axis=1, keepdims=True)).ravel()
    return shares

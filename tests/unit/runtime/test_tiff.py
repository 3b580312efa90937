"""TIFF: the right pixels or an error, for every sort of sample, against what tifffile writes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from aiface_runtime.errors import ImageDecodeError
from aiface_runtime.images import load_rgb
from tests.corpus.bombs import tiff

HEIGHT, WIDTH = 40, 60
RAMP = np.linspace(0, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
ALPHA = np.tile(np.linspace(0, 1, WIDTH), (HEIGHT, 1))[..., None]

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def picture(photometric: str, extra: str | None) -> tuple[Floats, Floats]:
    """Return samples to store, 0 to 1, and what an eye sees of them on white."""
    channels = [RAMP, RAMP[::-1], RAMP[:, ::-1]] if photometric == "rgb" else [RAMP]
    stored = np.stack(channels, -1)
    shown = 1 - stored if photometric == "miniswhite" else stored
    if extra == "unassalpha":
        shown = shown * ALPHA + 1 - ALPHA
    if extra == "assocalpha":
        stored = stored * ALPHA
        shown = stored + 1 - ALPHA
    return (np.concatenate([stored, ALPHA], -1) if extra else stored), np.broadcast_to(shown, (HEIGHT, WIDTH, 3))


def as_samples(values: Floats, kind: str) -> np.ndarray[Any, Any]:
    """Return samples, 0 to 1, over the whole range of a type."""
    if kind.startswith("f"):
        return values.astype(kind)
    lowest, highest = float(np.iinfo(kind).min), float(np.iinfo(kind).max)
    return (np.rint(values * (highest - lowest)) + lowest).astype(np.int64).astype(kind)


KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8")
READ = {*(("minisblack", kind) for kind in ("u1", "i1", "u2", "i2", "u4", "i4", "f4")), ("rgb", "u1"), ("rgb", "u2")}


def encodings() -> Iterator[tuple[str, str | None, str]]:
    yield from product("<>", (None, "zlib"), ("contig", "separate"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
@pytest.mark.parametrize("extra", [None, "unassalpha", "assocalpha", "unspecified"])
def test_right_pixels_or_an_error(kind: str, photometric: str, extra: str | None) -> None:
    tifffile = pytest.importorskip("tifffile", reason="the reference that writes them")
    stored, shown = picture(photometric, extra)
    if photometric == "miniswhite" and extra == "assocalpha":
        pytest.skip("nobody says what that is")
    answered = 0
    for order, compression, planes in encodings():
        samples = as_samples(stored, kind)
        samples = np.moveaxis(samples, -1, 0) if planes == "separate" else samples
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer,
            samples[..., 0] if samples.shape[-1] == 1 else samples[0] if samples.shape[0] == 1 else samples,
            byteorder=order,
            photometric=photometric,
            planarconfig=planes if stored.shape[-1] > 1 else None,
            compression=compression,
            extrasamples=[extra] if extra else None,
            metadata=None,
        )
        try:
            pixels = load_rgb(buffer.getvalue())
        except ImageDecodeError:
            continue
        answered += 1
        assert np.abs(pixels - 255 * shown).max() <= (3 if extra == "assocalpha" else 2), (order, compression, planes)
    assert answered or (photometric, kind) not in READ or extra


def grey(
    bits: int, sample_format: int, body: bytes, photometric: int = 1, order: str = "<", *, compression: int = 1
) -> bytes:
    """Return an uncompressed TIFF of one channel and 40 rows of 60 pixels."""
    values = {
        256: WIDTH,
        257: HEIGHT,
        258: bits,
        259: compression,
        262: photometric,
        277: 1,
        278: HEIGHT,
        339: sample_format,
    }
    entries = {tag: (3, [value]) for tag, value in values.items()}
    return tiff(entries | {273: (4, [8]), 279: (4, [len(body)])}, body, order)


@pytest.mark.parametrize("photometric", [0, 1])
def test_twelve_bits(photometric: int) -> None:
    values = np.rint(RAMP * 4095).astype(int).ravel()
    first, second = values[::2], values[1::2]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1).astype(np.uint8)
    pixels = load_rgb(grey(12, 1, packed.tobytes(), photometric))
    assert np.abs(pixels[..., 0] - 255 * (RAMP if photometric else 1 - RAMP)).max() <= 1


@pytest.mark.parametrize(("highest", "white"), [(1.0, 1.0), (1.01, 1.01), (255.0, 255.0), (65535.0, 65535.0)])
@pytest.mark.parametrize("photometric", [0, 1])
def test_floats_of_every_common_range(highest: float, white: float, photometric: int) -> None:
    samples = (RAMP * highest).astype("<f4")
    samples[0, 0] = np.nan
    pixels = load_rgb(grey(32, 3, samples.tobytes(), photometric))
    assert np.abs(pixels[..., 0] - 255 * (RAMP if photometric else 1 - RAMP)).max() <= 1


@pytest.mark.parametrize("highest", [4.0, 1e6])
def test_floats_of_no_common_range_are_an_error(highest: float) -> None:
    with pytest.raises(ImageDecodeError, match="float samples up to"):
        load_rgb(grey(32, 3, (RAMP * highest).astype("<f4").tobytes()))


@pytest.mark.parametrize("compression", [2, 3, 4, 6, 34676, 34925, 50001])
def test_compressions_whose_decoders_make_up_or_take_too_much_are_refused(compression: int) -> None:
    data = grey(8, 1, bytes(WIDTH * HEIGHT), compression=compression)
    with pytest.raises(ImageDecodeError, match=f"compression {compression} is not read"):
        load_rgb(data)


def test_big_tiff_and_tiles_are_read() -> None:
    tifffile = pytest.importorskip("tifffile", reason="the reference that writes them")
    _, shown = picture("rgb", None)
    samples = np.rint(255 * shown).astype(np.uint8)
    for options in ({"bigtiff": True}, {"tile": (16, 16)}, {"rowsperstrip": 7}, {"bigtiff": True, "byteorder": ">"}):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, samples, photometric="rgb", metadata=None, **options)
        np.testing.assert_array_equal(load_rgb(buffer.getvalue()), samples)

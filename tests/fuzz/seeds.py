"""What is mutated: small files of every format and option, the manifest, and a model file around it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from PIL import Image, ImageCms, features

from aiface_runtime.catalog import load
from aiface_runtime.manifest import KEY
from aiface_runtime.onnx_bytes import metadata
from tests.corpus.bombs import encoded, tiff

WIDTH, HEIGHT = 53, 41


@cache
def photos() -> tuple[tuple[str, bytes], ...]:
    """Return name and bytes of each photo."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    picture = Image.fromarray(noise).resize((WIDTH, HEIGHT), box=(0, 0, 9, 7))
    return tuple((name, make(picture)) for name, make in (*_jpegs(), *_pngs(), *_others(), *_tiffs(), *_modern()))


_Maker = Callable[[Image.Image], bytes]


def _as(kind: str, mode: str = "RGB", **options: object) -> _Maker:
    return lambda picture: encoded(picture.convert(mode), kind, **options)


def _metadata() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif.tobytes(), "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}


def _jpegs() -> Iterator[tuple[str, _Maker]]:
    yield "jpeg", _as("JPEG")
    yield "jpeg-metadata", _as("JPEG", **_metadata(), xmp=b'<x tiff:Orientation="3"/>')
    yield "jpeg-progressive", _as("JPEG", progressive=True)
    yield "jpeg-444-restarts", _as("JPEG", subsampling=0, restart_marker_rows=1)
    yield "jpeg-grey", _as("JPEG", "L")
    yield "jpeg-cmyk", _as("JPEG", "CMYK")
    yield "jpeg-large", lambda picture: encoded(picture.resize((1000, 1300)), "JPEG", quality=30)
    yield "mpo", lambda picture: encoded(picture, "MPO", save_all=True, append_images=[picture])


def _pngs() -> Iterator[tuple[str, _Maker]]:
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"):
        yield f"png-{mode}", _as("PNG", mode) if mode != "I;16" else _grey_16
    yield "png-metadata", _as("PNG", **_metadata())
    yield "png-transparent", _as("PNG", "P", transparency=3)
    yield "apng", lambda picture: encoded(picture, "PNG", save_all=True, append_images=[picture.rotate(90)])


def _grey_16(picture: Image.Image) -> bytes:
    return encoded(Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257), "PNG", transparency=514)


def _others() -> Iterator[tuple[str, _Maker]]:
    yield "gif", _as("GIF", "P", transparency=1, interlace=1)
    yield "gif-animated", lambda picture: encoded(picture, "GIF", save_all=True, append_images=[picture.rotate(90)])
    for mode in ("RGB", "RGBA", "L", "1", "P"):
        yield f"bmp-{mode}", _as("BMP", mode)
    yield "dib", _as("DIB")
    for mode in ("RGB", "L", "1"):
        yield f"pnm-{mode}", _as("PPM", mode)
    yield "pfm", lambda picture: encoded(Image.fromarray(np.asarray(picture.convert("L"), np.float32)), "PPM")
    yield "ppm-plain", lambda picture: b"P3 # text\n%d %d 255\n" % picture.size + b"1 22 255 " * (WIDTH * HEIGHT)


def _tiffs() -> Iterator[tuple[str, _Maker]]:
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
        yield f"tiff-{compression}", _as("TIFF", compression=compression)
    for mode in ("L", "P", "1", "CMYK", "RGBA", "LA", "YCbCr"):
        yield f"tiff-{mode}", _as("TIFF", mode)
    for kind in ("<i2", ">u2", "<f4", "<i4", ">u4"):
        yield f"tiff-{kind}", lambda picture, kind=kind: _grey_tiff(np.asarray(picture.convert("L")).astype(kind))


def _grey_tiff(samples: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    form = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    values = {256: WIDTH, 257: HEIGHT, 258: 8 * samples.dtype.itemsize, 259: 1, 262: 1, 277: 1, 278: HEIGHT, 339: form}
    order, body = ">" if samples.dtype.byteorder == ">" else "<", samples.tobytes()
    entries = {tag: (3, [value]) for tag, value in values.items()}
    return tiff(entries | {273: (4, [8]), 274: (3, [1]), 279: (4, [len(body)])}, body, order)


def _modern() -> Iterator[tuple[str, _Maker]]:
    if features.check("webp"):
        yield "webp", _as("WEBP")
        yield "webp-lossless", _as("WEBP", "RGBA", lossless=True)
        yield "webp-metadata", _as("WEBP", **_metadata())
        yield (
            "webp-animated",
            lambda picture: encoded(picture, "WEBP", save_all=True, append_images=[picture.rotate(9)]),
        )
    if features.check("avif"):
        yield "avif", _as("AVIF", speed=10)
        yield "avif-alpha", _as("AVIF", "RGBA", speed=10, **_metadata())
    if features.check("jpg_2000"):
        yield "jp2", _as("JPEG2000")
        yield "j2k-tiles", _as("JPEG2000", no_jp2=True, tile_size=(32, 32))
    try:
        from pillow_heif import from_pillow
    except ImportError:
        return

    def heic(picture: Image.Image) -> bytes:
        buffer = io.BytesIO()
        from_pillow(picture.resize((64, 64))).save(buffer)
        return buffer.getvalue()

    yield "heic", heic


@cache
def manifest() -> str:
    """Return the manifest of the bundled model, without the hash of its graph, which another graph would not have."""
    document = json.loads(metadata(load(None).data, KEY) or b"")
    document.pop("graph_sha256", None)
    return json.dumps(document)


def model_file(text: bytes) -> bytes:
    """Return an ONNX file, small and without meaning, around a manifest: protobuf by hand."""

    def field(number: int, content: bytes) -> bytes:
        return _varint(number << 3 | 2) + _varint(len(content)) + content

    tensor = b"\x08\2\x10\1" + field(9, bytes(8))
    attribute = field(1, b"value") + field(5, tensor)
    graph = field(1, field(4, b"Constant") + field(5, attribute)) + field(5, tensor) + field(2, b"graph")
    entry = field(1, KEY.encode()) + field(2, text)
    return b"\x08\x0a" + field(7, graph) + field(8, b"\x10\x12") + field(14, entry)


def _varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])

"""PBM, PGM, PPM and PFM by numpy: Pillow reads most of them in Python. Source: netpbm's manual."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .header import Header, LimitError, UnknownFormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_HEADER = 2**16  # bytes of three numbers, blanks and comments
_MAX_PLAIN = 2**20  # bytes of numbers written as text
_STRIP = 2**18  # samples that are looked up at a time
_TOKEN = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([^\s#]+)")
_KINDS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3, b"Pf": 1}


def read_pnm(data: bytes) -> Header:
    """Read the header of a PNM file.

    Raises:
        LimitError: It is plain text and long.
        ValueError: It is damaged.
    """
    kind, bands = data[:2], _KINDS[data[:2]]
    if not data[2:3].isspace():
        raise UnknownFormatError
    position, numbers = 2, []
    for _ in range(2 if kind in (b"P1", b"P4") else 3):
        token = _TOKEN.match(data, position, _MAX_HEADER)
        if not token or len(token[1]) > 32:
            raise ValueError("its header is cut short")
        numbers.append(float(token[1]) if kind == b"Pf" else int(token[1]))
        position = token.end()
    width, height = int(numbers[0]), int(numbers[1])
    if kind in (b"P1", b"P2", b"P3") and len(data) > _MAX_PLAIN:
        raise LimitError(f"over {_MAX_PLAIN:,} bytes of numbers as text; save it as JPEG or PNG")
    scale = numbers[2] if len(numbers) > 2 else 1
    if kind != b"Pf" and not 0 < scale < 65536:
        raise ValueError(f"highest value {scale}")

    def decode() -> Image.Image:
        samples = _samples(data, position, kind, (height, width, bands), scale)
        return Image.fromarray(samples[..., 0] if bands == 1 else samples)

    return Header("PPM", (width, height), decode, cost=7)


def _samples(
    data: bytes, position: int, kind: bytes, shape: tuple[int, int, int], scale: float
) -> NDArray[np.uint8] | NDArray[np.float32]:
    count = shape[0] * shape[1] * shape[2]
    if kind == b"Pf":
        order = "<f4" if scale < 0 else ">f4"
        return np.frombuffer(data, order, count, position + 1).astype(np.float32).reshape(shape)[::-1]
    if kind == b"P4":
        packed = np.frombuffer(data, np.uint8, shape[0] * (-(-shape[1] // 8)), position + 1).reshape(shape[0], -1)
        bits = np.unpackbits(packed, axis=1, count=shape[1])
        return (255 * (1 - bits)).astype(np.uint8)[..., None]
    if kind in (b"P5", b"P6"):
        values = np.frombuffer(data, np.uint8 if scale < 256 else ">u2", count, position + 1)
    else:
        values = _plain(data[position:], kind, count)
        if kind == b"P1":
            return ((1 - values) * 255).astype(np.uint8).reshape(shape)
    if scale == 255 and values.dtype == np.uint8:
        return values.reshape(shape)
    levels = np.arange(int(scale) + 1) / scale
    if scale > 255 and shape[2] == 1:  # by way of 16 bits, as Pillow does
        levels = np.rint(levels * 65535) / 65535
    table, scaled = np.rint(levels * 255).astype(np.uint8), np.empty(count, np.uint8)
    for start in range(0, count, _STRIP):
        scaled[start : start + _STRIP] = table[np.minimum(values[start : start + _STRIP], int(scale))]
    return scaled.reshape(shape)


def _plain(text: bytes, kind: bytes, count: int) -> NDArray[np.uint16]:
    text = re.sub(rb"#[^\r\n]*", b"", text)
    words = re.findall(rb"[01]", text) if kind == b"P1" else text.split()
    if len(words) < count:
        raise ValueError("its picture is cut short")
    values = [int(word) for word in words[:count]]
    if min(values, default=0) < 0 or max(values, default=0) > 65535:
        raise ValueError("a value is above the highest")
    return np.array(values, np.uint16)

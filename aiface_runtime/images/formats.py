"""The formats that are decoded, told apart by how a file starts; no other decoder of Pillow is ever reached."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from .header import Header, UnknownFormatError

PHOTO_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"),
        *(".tif", ".tiff", ".avif", ".heic", ".heif", ".hif"),
        *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".pbm", ".pgm", ".ppm", ".pnm", ".pfm"),
    )
)

FORMATS = frozenset(("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "HEIF"))

_READERS = (
    ("jpeg", (b"\xff\xd8\xff",)),
    ("png", (b"\x89PNG\r\n\x1a\n",)),
    ("gif", (b"GIF87a", b"GIF89a")),
    ("bmp", (b"BM",)),
    ("tiff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("jpeg2000", (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")),
    ("pnm", (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf")),
    ("bmp", tuple(length.to_bytes(4, "little") for length in (12, 40, 52, 56, 64, 108, 124))),
)


def read_header(data: bytes) -> Header:
    """Read what a file says of its first picture, without decoding any of it.

    Raises:
        UnknownFormatError: It is in none of the formats that are decoded.
        LimitError: Its structure alone would cost too much.
        Exception: It is damaged.
    """
    reader = reader_of(data)
    module = import_module(f".{reader}", __package__)  # a plugin is imported for the first file that needs it
    return cast("Callable[[bytes], Header]", getattr(module, f"read_{reader}"))(data)


def reader_of(data: bytes) -> str:
    """Return the name of the module that reads a file, by how it starts.

    Raises:
        UnknownFormatError: It is in none of the formats that are decoded.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return "isobmff"
    for name, starts in _READERS:
        if data.startswith(starts):
            return name
    raise UnknownFormatError

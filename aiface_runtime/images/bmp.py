"""BMP and DIB: their header. Source: Microsoft's BITMAPINFOHEADER."""

from __future__ import annotations

from PIL.BmpImagePlugin import BmpImageFile, DibImageFile

from .header import Header, LimitError, parts_file

DIB_HEADERS = frozenset((12, 40, 52, 56, 64, 108, 124))  # their lengths, by which versions are told apart

_MAX_RUNS = 2**20  # bytes of run lengths, which Pillow reads in Python


def read_bmp(data: bytes) -> Header:
    """Read the header of a BMP, or of a DIB, which lacks its first 14 bytes.

    Raises:
        LimitError: It is run-length encoded and long.
        ValueError: It is damaged.
    """
    is_bmp = data.startswith(b"BM")
    start = 14 if is_bmp else 0
    length = int.from_bytes(data[start : start + 4], "little")
    if length == 12:
        size = (
            int.from_bytes(data[start + 4 : start + 6], "little"),
            int.from_bytes(data[start + 6 : start + 8], "little"),
        )
        compression = 0
    else:
        height = int.from_bytes(data[start + 8 : start + 12], "little", signed=True)
        size = (int.from_bytes(data[start + 4 : start + 8], "little"), abs(height))
        compression = int.from_bytes(data[start + 16 : start + 20], "little")
    if compression in (1, 2) and len(data) > _MAX_RUNS:
        raise LimitError(f"over {_MAX_RUNS:,} bytes of run lengths; save it again")
    at = start + (10 if length == 12 else 14)
    cost = 8 if int.from_bytes(data[at : at + 2], "little") == 32 else 6  # bits a pixel: with transparency or without
    return Header("BMP", size, lambda: (BmpImageFile if is_bmp else DibImageFile)(parts_file([data])), cost)

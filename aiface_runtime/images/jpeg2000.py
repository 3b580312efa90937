"""JPEG 2000: what its code stream asks of the decoder. Source: ITU-T T.800, annexes A and I."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from .header import Header, LimitError, check_parts, parts_file

JP2, CODE_STREAM = b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"

_SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0x51, 0x52, 0x53, 0x90, 0x93, 0xD9
_MAX_BYTES = 10 * 2**20  # entropy decoding takes some 0.15 s a megabyte
_MAX_TILES = 1024
_MAX_PACKETS = 2**21
_MIN_BLOCK_BITS = 8  # of the logarithm of a code block's area: each takes some hundred bytes


def read_jpeg2000(data: bytes) -> Header:
    """Read the header of a JPEG 2000 file or code stream.

    Raises:
        LimitError: It is long, or has too many tiles, packets or code blocks.
        ValueError: It is damaged.
    """
    start = 0 if data.startswith(CODE_STREAM) else _code_stream(data)
    if len(data) - start > _MAX_BYTES:
        raise LimitError(f"over {_MAX_BYTES:,} bytes of JPEG 2000; save it as JPEG or PNG")
    size, tiles, area, components = (0, 0), 1, 0, 0
    for marker, body in _markers(data, start + 2):
        if marker == _SIZ:
            if size[0]:
                raise ValueError("two sizes")
            size, tiles, area, components = _read_size(body)
        elif marker == _COD:
            _check_coding(body[5:], body[0] & 1, tiles * components * int.from_bytes(body[2:4], "big"), area)
        elif marker == _COC:
            rest = body[1:] if components < 257 else body[2:]
            _check_coding(rest[1:], rest[0] & 1, tiles * components, area)
    if not size[0]:
        raise ValueError("it ends before its picture starts")
    return Header("JPEG2000", size, lambda: Jpeg2KImageFile(parts_file([data])), cost=7 + 4 * components)


def _code_stream(data: bytes) -> int:
    """Return where the code stream in the boxes of a JP2 file starts."""
    position, count = 0, 0
    while position + 8 <= len(data):
        check_parts(count := count + 1, "boxes")
        length, kind = struct.unpack_from(">I4s", data, position)
        body = position + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, body)
            body += 8
        if kind == b"jp2c":
            return body
        if length < body - position:
            break
        position += length
    raise ValueError("it has no code stream")


def _markers(data: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """Yield the marker segments of the main header and of every tile-part's."""
    count, tile_end = 0, None
    while position + 4 <= len(data):
        check_parts(count := count + 1, "segments")
        marker = data[position + 1]
        if data[position] != 0xFF or marker == _EOC:
            return
        if marker == _SOD:
            if tile_end is None or tile_end <= position:
                return
            position = tile_end
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        body = data[position + 4 : position + 2 + length]
        if length < 2 or len(body) != length - 2:
            return
        if marker == _SOT:
            part = int.from_bytes(body[2:6], "big")
            tile_end = position + part if part else len(data)
        yield marker, body
        position += 2 + length


def _read_size(body: bytes) -> tuple[tuple[int, int], int, int, int]:
    """Return the size, the number of tiles, the area of one, and the number of components."""
    right, bottom, left, top, width, height, first_left, first_top, components = struct.unpack_from(">8IH", body, 2)
    if not (width > 0 and height > 0 and left < right and top < bottom and 0 < components < 5):
        raise ValueError("its size cannot be")
    tiles = -(-(right - first_left) // width) * -(-(bottom - first_top) // height)
    if not 0 < tiles <= _MAX_TILES:
        raise LimitError(f"{tiles:,} tiles; at most {_MAX_TILES:,} are decoded, save it again")
    area = min(width, right - left) * min(height, bottom - top)
    return (right - left, bottom - top), tiles, area, components


def _check_coding(style: bytes, has_precincts: int, packets: int, area: int) -> None:
    """Check number of levels, size of the code blocks and of the precincts, by their logarithms."""
    levels, block = style[0], style[1] + style[2] + 4
    sizes = style[5 : 6 + levels] if has_precincts else b"\xff"
    smallest = min(((size & 15) + (size >> 4) for size in sizes), default=30)
    total = packets * (levels + 1) * max(1, area >> smallest)
    if block < _MIN_BLOCK_BITS or levels > 32 or total > _MAX_PACKETS or smallest < _MIN_BLOCK_BITS:
        raise LimitError("too many small blocks; save it as JPEG or PNG")

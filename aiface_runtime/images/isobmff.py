"""AVIF and HEIC: what their boxes say of the picture. Sources: ISO/IEC 14496-12 and 23008-12; the AV1 specification."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, cast

from PIL import Image

from .header import Header, LimitError, UnknownFormatError, check_parts, parts_file

_AVIF = frozenset((b"avif", b"avis"))
_HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_MAX_ITEMS = 1024
_SEQUENCE_HEADER = 1


def read_isobmff(data: bytes) -> Header:
    """Read the header of an AVIF or HEIC file.

    Raises:
        UnknownFormatError: It is another of the many formats made of boxes, or its decoder is not installed.
        LimitError: It has too many boxes or items, or holds a larger picture than it says.
        ValueError: It is damaged.
    """
    length = int.from_bytes(data[:4], "big")
    brands = {data[8:12], *(data[i : i + 4] for i in range(16, min(length, 256), 4))}
    if brands & _AVIF:
        return _read_avif(data)
    if brands & _HEIC:
        return _read_heic(data)
    raise UnknownFormatError


def _read_avif(data: bytes) -> Header:
    from PIL.AvifImagePlugin import AvifImageFile

    meta = _meta(data)
    image = AvifImageFile(parts_file([data]))  # reads the boxes, and decodes nothing
    for width, height in _coded_sizes(data, meta):
        if width * height > 4 * max(image.width * image.height, 2**20):
            raise LimitError(f"it holds {width} x {height} pixels instead of {image.width} x {image.height}")
    return Header(
        "AVIF",
        image.size,
        lambda: image,
        cost=17 if image.mode == "RGBA" else 13,  # of 10 bits without subsampling, the dearest
        fixed_cost=2 * len(data),
        exif=_bytes(image, "exif"),
        xmp=_bytes(image, "xmp"),
        icc=_bytes(image, "icc_profile"),
        primaries=_primaries(data, meta),
    )


def _read_heic(data: bytes) -> Header:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise UnknownFormatError('HEIC needs its extra: pip install "aiface[heic]"') from error
    meta = _meta(data)
    image = cast("Callable[[IO[bytes]], Image.Image]", HeifImageFile)(parts_file([data]))
    return Header(
        "HEIF",
        image.size,
        lambda: image,
        cost=7.5 if image.info.get("bit_depth") == 8 and image.mode == "RGB" else 14,
        fixed_cost=len(data),
        exif=_bytes(image, "exif"),
        xmp=_bytes(image, "xmp"),
        icc=_bytes(image, "icc_profile"),
        primaries=_primaries(data, meta),
    )


def _bytes(image: Image.Image, name: str) -> bytes:
    value: Any = image.info.get(name)
    return value if isinstance(value, bytes) else b""


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    end: int


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    position, count = start, 0
    while position + 8 <= end:
        check_parts(count := count + 1, "boxes")
        length, kind = struct.unpack_from(">I4s", data, position)
        body = position + 8
        if length == 1 and body + 8 <= end:
            (length,) = struct.unpack_from(">Q", data, body)
            body += 8
        stop = end if length == 0 else position + length
        if stop > end or stop < body:
            return
        yield _Box(kind, body, stop)
        position = stop


def _meta(data: bytes) -> Mapping[bytes, _Box]:
    """Return the boxes of the first `meta` box, by their kind."""
    for box in _boxes(data, 0, len(data)):
        if box.kind == b"meta":
            return {inner.kind: inner for inner in _boxes(data, box.start + 4, box.end)}
    return {}


def _primaries(data: bytes, meta: Mapping[bytes, _Box]) -> int | None:
    """Return the number of the primaries, where a `colr` box gives it."""
    properties = meta.get(b"iprp")
    containers = _boxes(data, properties.start, properties.end) if properties else iter(())
    for container in islice((box for box in containers if box.kind == b"ipco"), 1):
        for box in _boxes(data, container.start, container.end):
            if box.kind == b"colr" and data[box.start : box.start + 4] == b"nclx":
                return int.from_bytes(data[box.start + 4 : box.start + 6], "big")
    return None


def _coded_sizes(data: bytes, meta: Mapping[bytes, _Box]) -> Iterator[tuple[int, int]]:
    """Yield width and height that the AV1 streams of all items announce: the decoder allocates those."""
    location = meta.get(b"iloc")
    if location is None:
        return
    base, count = meta[b"idat"].start if b"idat" in meta else 0, 0
    for method, offset, length in _extents(data, location):
        start = offset + (base if method == 1 else 0)
        check_parts(count := count + 1, "extents")
        for header in _units(data, start, min(start + length if length else len(data), len(data))):
            check_parts(count := count + 1, "units")
            if header is not None and (size := _frame_size(header)):
                yield size


def _extents(data: bytes, box: _Box) -> Iterator[tuple[int, int, int]]:
    """Yield construction method, offset and length of each extent of each item."""
    version, sizes = data[box.start], int.from_bytes(data[box.start + 4 : box.start + 6], "big")
    offset_size, length_size, base_size, index_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    position = box.start + 6

    def number(size: int) -> int:
        nonlocal position
        position += size
        return int.from_bytes(data[position - size : position], "big")

    count = number(2 if version < 2 else 4)
    if count > _MAX_ITEMS:
        raise LimitError(f"{count:,} items; at most {_MAX_ITEMS:,} are read")
    for _ in range(count):
        number(2 if version < 2 else 4)
        method = number(2) & 15 if version else 0
        number(2)
        base = number(base_size)
        for _ in range(min(number(2), _MAX_ITEMS)):
            number(index_size if version else 0)
            offset = number(offset_size)
            yield method, base + offset, number(length_size)


def _units(data: bytes, position: int, end: int) -> Iterator[bytes | None]:
    """Yield for each unit of an AV1 stream its sequence header, None of other units; nothing where it is no stream."""
    while position < end:
        header = data[position]
        position += 2 if header & 4 else 1
        if header & 0x81:
            return
        length, position = _leb128(data, position) if header & 2 else (end - position, position)
        yield data[position : position + 64] if header >> 3 & 15 == _SEQUENCE_HEADER else None
        position += length


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[position : position + 8]):
        value |= (byte & 127) << 7 * index
        if not byte & 128:
            return value, position + index + 1
    return 0, len(data)


def _frame_size(header: bytes) -> tuple[int, int] | None:
    """Return largest width and height of a sequence header, section 5.5.1; None of one with timing, as films have."""
    bits = int.from_bytes(header.ljust(64, b"\0"), "big")
    position = 0

    def take(count: int) -> int:
        nonlocal position
        position += count
        return bits >> 512 - position & (1 << count) - 1

    take(4)
    if take(1):  # of a still picture
        take(5)
    else:
        if take(1):
            return None
        has_delay = take(1)
        for _ in range(take(5) + 1):
            take(12)
            if take(5) > 7:
                take(1)
            if has_delay and take(1):
                take(4)
    width_bits, height_bits = take(4) + 1, take(4) + 1
    return take(width_bits) + 1, take(height_bits) + 1

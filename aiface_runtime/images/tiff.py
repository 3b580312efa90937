"""TIFF: its first directory, and what its samples mean. Source: TIFF 6.0 and Adobe's technical notes.

Pillow gets a directory of its own, with the tags that decoding needs and no other; whatever it would read wrongly is
refused here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from .header import MAX_METADATA, Header, LimitError, Part, check_parts, parts_file
from .jpeg import END, read_jpeg
from .samples import Kind, Samples

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _PER_PIXEL, _ROWS, _STRIP_BYTES, _PLANES = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
_JPEG_TABLES = 347
_EXTRA, _FORMAT, _SUBSAMPLING, _ORIENTATION, _XMP, _ICC = 338, 339, 530, 274, 700, 34675
_DECODED = frozenset(
    (
        *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _STRIPS, _PER_PIXEL, _ROWS, _STRIP_BYTES),
        *(_PLANES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _EXTRA, _FORMAT, _SUBSAMPLING),
        *(317, 320, 332, 529, 531, 532),  # predictor, colour map, inks, YCbCr
        _JPEG_TABLES,
    )
)
_READ = _DECODED | {_ORIENTATION, _XMP, _ICC}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q"}
_RAW, _JPEG = 1, 7
# LZMA is missing, whose decoder allocates what the file asks for, up to 4 GB; so are the JPEG of TIFF before 1995 and
# fax pages, whose decoders make up what a file lacks.
_COMPRESSIONS = frozenset((_RAW, 5, _JPEG, 8, 32773, 32946, 50000))
_UNSIGNED = 1
_KINDS: dict[int, Kind] = {_UNSIGNED: "unsigned", 2: "signed", 3: "float"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6


@dataclass(frozen=True, slots=True)
class _Directory:
    """The first directory of a file.

    Attributes:
        order: Byte order as `struct` writes it.
        entries: Type, number of values and their bytes, by tag.
    """

    order: str
    entries: Mapping[int, tuple[int, int, bytes]]

    def integers(self, tag: int, default: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the values of a tag."""
        if tag not in self.entries:
            return tuple(default)
        kind, count, content = self.entries[tag]
        if kind not in _INTEGERS:
            raise ValueError(f"tag {tag} is no integer")
        return struct.unpack_from(f"{self.order}{count}{_INTEGERS[kind]}", content)

    def integer(self, tag: int, default: int) -> int:
        """Return the first value of a tag."""
        return (self.integers(tag) or (default,))[0]


class _TiffFile(TiffImageFile):
    def load_prepare(self) -> None:
        """Make the picture, whose size is checked already, without asking the application's MAX_IMAGE_PIXELS."""
        ImageFile.ImageFile.load_prepare(self)


def read_tiff(data: bytes) -> Header:
    """Read the header of a TIFF file; pages behind the first are left alone.

    Raises:
        LimitError: It has too many strips or tiles, or one of them is far larger than the picture.
        ValueError: It is damaged, or has samples that are not read.
    """
    directory = _read_directory(data)
    size = (directory.integer(_WIDTH, 0), directory.integer(_HEIGHT, 0))
    bits = directory.integers(_BITS, (1,))
    per_pixel = directory.integer(_PER_PIXEL, 1)
    _check_layout(directory, size, per_pixel)
    compression = directory.integer(_COMPRESSION, 1)
    samples = _read_samples(directory, bits, per_pixel, compression)
    front, end = _own_directory(directory, len(data), samples)
    parts: list[Part] = [front, memoryview(data)[len(front) :], end]
    file = parts_file(parts) if compression == _RAW else parts_file([b"".join(parts)])
    orientation = directory.entries.get(_ORIENTATION)
    return Header(
        "TIFF",
        size,
        lambda: _TiffFile(file),
        cost=9 if samples else 8,
        fixed_cost=len(data) if compression != _RAW else 0,
        exif=_as_exif(directory.order, orientation) if orientation else b"",
        xmp=directory.entries.get(_XMP, (0, 0, b""))[2],
        icc=directory.entries.get(_ICC, (0, 0, b""))[2],
        filled=(lambda: _filled(data, directory)) if compression == _JPEG else None,
        samples=samples,
    )


def _filled(data: bytes, directory: _Directory) -> float:
    """Return the share of the picture, 0 to 1, for which its strips or tiles, which are JPEGs each, have no data."""
    tags = (_TILES, _TILE_BYTES) if _TILES in directory.entries else (_STRIPS, _STRIP_BYTES)
    tables = directory.entries.get(_JPEG_TABLES, (0, 0, b""))[2].removesuffix(END)
    shares = []
    for start, length in zip(*map(directory.integers, tags), strict=True):
        part = data[start : start + length]
        header = read_jpeg(tables + part[2:] if tables else part)
        shares.append(max(header.missing, header.filled() if header.filled else 0.0))
    return sum(shares) / len(shares)


def _read_directory(data: bytes) -> _Directory:
    order = "<" if data[:2] == b"II" else ">"
    is_big = 43 in data[2:4]
    layout, size = (f"{order}HHQ", 8) if is_big else (f"{order}HHI", 4)
    offset = order + ("Q" if is_big else "I")
    (start,) = struct.unpack_from(offset, data, 8 if is_big else 4)
    (count,) = struct.unpack_from(order + ("Q" if is_big else "H"), data, start)
    check_parts(count, "tags")
    entries: dict[int, tuple[int, int, bytes]] = {}
    first, step = start + (8 if is_big else 2), 20 if is_big else 12
    for position in range(first, first + step * count, step):
        tag, kind, number = struct.unpack_from(layout, data, position)
        at = position + step - size
        length = _SIZES.get(kind, 0) * number
        if tag not in _READ or length == 0:
            continue
        if length > MAX_METADATA:
            raise LimitError(f"a tag of {length:,} bytes; save it again")
        if length > size:
            (at,) = struct.unpack_from(offset, data, at)
        content = data[at : at + length]
        if len(content) < length and tag in _DECODED:
            raise ValueError("its directory is cut short")
        entries.setdefault(tag, (kind, number, content))
    return _Directory(order, entries)


def _check_layout(directory: _Directory, size: tuple[int, int], per_pixel: int) -> None:
    """Check that strips or tiles cover the picture once and are not larger than it."""
    width, height = size
    if not (width > 0 and height > 0 and 0 < per_pixel <= 6):
        raise ValueError("its size is missing, or it has over 6 samples a pixel")
    across, down = width, min(directory.integer(_ROWS, height) or height, height)
    if _TILES in directory.entries:
        across, down = directory.integer(_TILE_WIDTH, 0), directory.integer(_TILE_HEIGHT, 0)
        if not (0 < across <= width + 1024 and 0 < down <= height + 1024):
            raise LimitError(f"tiles of {across} x {down} pixels; save it again")
    planes = per_pixel if directory.integer(_PLANES, 1) == 2 else 1
    count = planes * -(-width // across) * -(-height // down)
    check_parts(count, "strips or tiles")
    tag = _TILES if _TILES in directory.entries else _STRIPS
    if len(directory.integers(tag)) != count:
        raise ValueError(f"{len(directory.integers(tag))} strips or tiles instead of {count}")


def _read_samples(directory: _Directory, bits: tuple[int, ...], per_pixel: int, compression: int) -> Samples | None:
    """Say what grey samples of other than 8 unsigned bits mean; None of those that Pillow reads rightly.

    Raises:
        ValueError: Pillow would read them wrongly.
    """
    formats = set(directory.integers(_FORMAT, (1,)))
    photometric, planes = directory.integer(_PHOTOMETRIC, 0), directory.integer(_PLANES, 1)
    is_raw, depth = compression == _RAW, max(bits)
    if compression not in _COMPRESSIONS:
        raise ValueError(f"compression {compression} is not read; save it with deflate or LZW")
    if planes == 2 and per_pixel > 1 and (depth != 8 or photometric not in (_RGB, _CMYK)):
        raise ValueError("samples in planes of that kind are not read; save it with interleaved samples")
    if photometric == _YCBCR and is_raw and directory.integers(_SUBSAMPLING, (2, 2)) != (1, 1):
        raise ValueError("subsampled colours without compression are not read; save it as RGB")
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) or per_pixel != 1:
        if formats != {_UNSIGNED}:
            raise ValueError("signed or float colours are not read; save it with unsigned samples")
        return None
    if formats == {_UNSIGNED} and depth <= 8:
        return None
    if directory.order == ">" and not is_raw and (depth == 32 or formats != {_UNSIGNED}):
        raise ValueError("compressed big-endian samples of that kind are not read; save it without compression")
    if len(formats) > 1 or not formats <= _KINDS.keys():
        raise ValueError("samples of that kind are not read")
    return Samples(_KINDS[formats.pop()], depth, photometric == _WHITE_IS_ZERO)


def _own_directory(directory: _Directory, length: int, samples: Samples | None) -> tuple[bytes, bytes]:
    """Make the first 8 bytes of a TIFF file and, for behind all of it, a directory of the tags that decoding needs."""
    order, contents = directory.order, b""
    tags = sorted(directory.entries.keys() & _DECODED)
    contents_at = length + length % 2 + 2 + 12 * len(tags) + 4
    table = bytes(length % 2) + struct.pack(f"{order}H", len(tags))
    for tag in tags:
        kind, number, content = _in_32_bits(order, directory.entries[tag])
        if tag == _PHOTOMETRIC and samples:  # they are inverted here, not by Pillow, which forgets some
            content = struct.pack(f"{order}H", _BLACK_IS_ZERO)
        table += struct.pack(f"{order}HHI", tag, kind, number)
        table += content.ljust(4, b"\0") if len(content) <= 4 else struct.pack(f"{order}I", contents_at + len(contents))
        contents += content + bytes(len(content) % 2) if len(content) > 4 else b""
    front = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", length + length % 2)
    return front, table + bytes(4) + contents


def _in_32_bits(order: str, entry: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    kind, number, content = entry
    if kind not in (16, 17, 18):
        return entry
    return 4, number, struct.pack(f"{order}{number}I", *struct.unpack(f"{order}{number}Q", content))


def _as_exif(order: str, entry: tuple[int, int, bytes]) -> bytes:
    """Return the orientation as an EXIF block."""
    kind, number, content = entry
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, 1)
    return start + struct.pack(f"{order}HHI", _ORIENTATION, kind, number) + content[:4].ljust(4, b"\0") + bytes(4)

"""The metadata of a file, by its format, without a pixel: blocks of EXIF, XMP and IPTC, and texts under keywords."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from ..images.formats import read_header
from ..images.gif import blocks_end, palette_bytes
from ..images.header import check_parts
from ..images.jpeg import segments
from ..images.png import chunks as png_chunks
from ..images.webp import chunks as webp_chunks
from .quoting import one_line
from .xmp import RefusedError

MAX_BYTES = 8 * 2**20  # of all metadata of a file together, after decompression
_MAX_BLOCKS = 1000
_EXIF, _XMP, _MORE_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_GUID = 32  # characters, before length and offset of 4 bytes each
_SCAN, _COMMENT = 0xDA, 0xFE
_UUIDS = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
    b"JpgTiffExif->JP2": "exif",
}


class Kind(StrEnum):
    """What a block of metadata is."""

    EXIF = "exif"
    XMP = "xmp"
    IPTC = "iptc"
    PHOTOSHOP = "photoshop"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of metadata.

    Attributes:
        kind: Kind of metadata.
        data: Bytes of the block, decompressed.
        where: Location of it in the file, `PNG tEXt parameters` for one.
        keyword: Keyword that a text stands under.
    """

    kind: Kind
    data: bytes
    where: str
    keyword: str = ""


class Budget:
    """Counts the bytes of metadata that may still be read."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.left = max_bytes
        self._blocks = _MAX_BLOCKS

    def take(self, data: bytes | memoryview) -> bytes:
        """Return as much of a block as may be read.

        Raises:
            RefusedError: Nothing of it, for too much was read before.
        """
        self._blocks -= 1
        if self.left <= 0 or self._blocks < 0:
            raise RefusedError(f"more than {MAX_BYTES // 2**20} MiB or {_MAX_BLOCKS} blocks of metadata")
        taken = bytes(data[: self.left])
        self.left -= len(taken)
        return taken

    def inflate(self, data: bytes | memoryview) -> bytes:
        """Return as much of a compressed block as may be read; what is broken in it is left out.

        Raises:
            RefusedError: Nothing of it, for too much was read before.
        """
        content = b""
        with suppress(zlib.error):
            content = zlib.decompressobj().decompress(data, max(self.left, 1))
        return self.take(content)


def blocks_of(data: bytes, reader: str) -> Iterator[Block]:
    """Yield the metadata of a file in its order.

    Args:
        data: The file.
        reader: Name of its format, as `reader_of` returns it.

    Raises:
        Exception: The file is damaged, or has more than is read; what stood before that has been yielded.
    """
    make = _READERS.get(reader)
    return make(data, Budget()) if make else iter(())


def _jpeg(data: bytes, budget: Budget) -> Iterator[Block]:
    joined = {Kind.EXIF: b"", Kind.PHOTOSHOP: b""}
    more: dict[bytes, list[tuple[int, bytes]]] = {}
    try:
        for marker, _, start, end in segments(data):
            content = memoryview(data)[start:end]
            if marker == _SCAN:
                break
            if marker == 0xE1 and content[:6] == _EXIF:
                joined[Kind.EXIF] += budget.take(content[6:])
            elif marker == 0xE1 and content[: len(_XMP)] == _XMP:
                yield Block(Kind.XMP, budget.take(content[len(_XMP) :]), "XMP")
            elif marker == 0xE1 and content[: len(_MORE_XMP)] == _MORE_XMP:
                head = bytes(content[len(_MORE_XMP) : len(_MORE_XMP) + _GUID + 8])
                piece = budget.take(content[len(_MORE_XMP) + _GUID + 8 :])
                more.setdefault(head[:_GUID], []).append((int.from_bytes(head[-4:], "big"), piece))
            elif marker == 0xED and content[: len(_PHOTOSHOP)] == _PHOTOSHOP:
                joined[Kind.PHOTOSHOP] += budget.take(content[len(_PHOTOSHOP) :])
            elif marker == _COMMENT:
                yield Block(Kind.TEXT, budget.take(content), "JPEG comment", "comment")
    finally:  # what was gathered counts, also of a file that is cut short
        gathered = [Block(kind, block, kind.value.upper()) for kind, block in joined.items() if block]
        gathered += [Block(Kind.XMP, b"".join(p for _, p in sorted(pieces)), "XMP") for pieces in more.values()]
    yield from gathered


def _png(data: bytes, budget: Budget) -> Iterator[Block]:
    for kind, start, end, is_intact in png_chunks(data):
        body = memoryview(data)[start + 8 : end - 4]
        if not is_intact:
            continue
        if kind == b"eXIf":
            yield Block(Kind.EXIF, budget.take(body), "EXIF")
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            yield _png_text(kind, body, budget)


def _png_text(kind: bytes, body: memoryview, budget: Budget) -> Block:
    keyword, rest = _until_zero(body, 80)
    name = one_line(keyword.decode("latin-1"), 80)
    if kind == b"zTXt":
        text = budget.inflate(rest[1:])
    elif kind == b"iTXt":
        _, translated = _until_zero(rest[2:], 200)
        _, content = _until_zero(translated, 1000)
        text = budget.inflate(content) if rest[:1].tobytes() == b"\1" else budget.take(content)
    else:
        text = budget.take(rest)
    if name == "XML:com.adobe.xmp":
        return Block(Kind.XMP, text, "XMP")
    if name.startswith("Raw profile type "):
        return _raw_profile(name.removeprefix("Raw profile type "), text)
    return Block(Kind.TEXT, text, f"PNG {kind.decode()} {name}", name)


def _until_zero(body: memoryview, longest: int) -> tuple[bytes, memoryview]:
    first = bytes(body[: longest + 1]).partition(b"\0")[0]
    return first, body[len(first) + 1 :]


def _raw_profile(name: str, text: bytes) -> Block:
    """Return the block that ImageMagick writes as hexadecimal text behind three lines."""
    lines = text.split(b"\n", 3)
    digits = lines[3].translate(None, b" \t\r\n") if len(lines) > 3 else b""
    content = b""
    with suppress(ValueError):
        content = bytes.fromhex(digits.decode("ascii", "replace"))
    kinds = {"exif": Kind.EXIF, "APP1": Kind.EXIF, "xmp": Kind.XMP, "iptc": Kind.PHOTOSHOP, "8bim": Kind.PHOTOSHOP}
    kind = kinds.get(name, Kind.TEXT)
    if name == "APP1" and content.startswith(_XMP):
        kind, content = Kind.XMP, content[len(_XMP) :]
    return Block(kind, content, kind.value.upper().replace("PHOTOSHOP", "IPTC"), name)


def _webp(data: bytes, budget: Budget) -> Iterator[Block]:
    for kind, start, end in webp_chunks(data):
        body = memoryview(data)[start + 8 : end]
        if kind == b"EXIF":
            yield Block(Kind.EXIF, budget.take(body), "EXIF")
        elif kind == b"XMP ":
            yield Block(Kind.XMP, budget.take(body), "XMP")


def _tiff(data: bytes, _: Budget) -> Iterator[Block]:
    yield Block(Kind.EXIF, data, "TIFF")  # its directories are read where they lie, and refer to all of the file


def _gif(data: bytes, budget: Budget) -> Iterator[Block]:
    position, count = 13 + palette_bytes(data[10]), 0
    while position < len(data) and data[position] != 0x3B:
        check_parts(count := count + 1, "blocks")
        if data[position] == 0x2C:
            position = blocks_end(data, position + 11 + palette_bytes(data[position + 9]))
            continue
        end = blocks_end(data, position + 2)
        content = memoryview(data)[position + 2 : end]
        if data[position + 1] == 0xFE:
            yield Block(Kind.TEXT, budget.take(_unblocked(content)), "GIF comment", "comment")
        elif content[:12].tobytes() == b"\x0bXMP DataXMP":
            yield Block(Kind.XMP, budget.take(content[12:]), "XMP")  # the blocks' lengths are its own letters
        position = end if data[position] == 0x21 else position + 1


def _unblocked(content: memoryview) -> bytes:
    pieces, position = [], 0
    while position < len(content) and (length := content[position]):
        pieces.append(bytes(content[position + 1 : position + 1 + length]))
        position += 1 + length
    return b"".join(pieces)


def _isobmff(data: bytes, budget: Budget) -> Iterator[Block]:
    header = read_header(data)  # Pillow and pillow-heif read the boxes, and decode nothing
    if header.exif:
        yield Block(Kind.EXIF, budget.take(header.exif), "EXIF")
    if header.xmp:
        yield Block(Kind.XMP, budget.take(header.xmp), "XMP")


def _jpeg2000(data: bytes, budget: Budget) -> Iterator[Block]:
    position, count = 0, 0
    while data[:4] == b"\0\0\0\x0c" and position + 8 <= len(data):
        check_parts(count := count + 1, "boxes")
        length = int.from_bytes(data[position : position + 4], "big")
        kind = _UUIDS.get(data[position + 8 : position + 24])
        if data[position + 4 : position + 8] == b"uuid" and kind and length > 24:
            yield Block(Kind(kind), budget.take(memoryview(data)[position + 24 : position + length]), kind.upper())
        if length < 8:
            return
        position += length


_READERS: Mapping[str, Callable[[bytes, Budget], Iterator[Block]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "tiff": _tiff,
    "gif": _gif,
    "isobmff": _isobmff,
    "jpeg2000": _jpeg2000,
}

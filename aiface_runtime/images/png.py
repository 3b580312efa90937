"""PNG: the chunks that its picture is made of, and the metadata in the others. Source: the W3C's PNG, third edition."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress

from PIL.PngImagePlugin import PngImageFile

from .header import MAX_METADATA, Header, check_parts, parts_file

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_IEND = b"\0\0\0\0IEND\xaeB`\x82"
_XMP_KEYWORD, _EXIF_KEYWORD = b"XML:com.adobe.xmp", b"Raw profile type exif"  # the latter is ImageMagick's


def read_png(data: bytes) -> Header:
    """Read the header of a PNG; of an animation the picture that programs without animation show.

    A chunk without which the picture can be shown is passed over where it is broken, as libpng does.

    Raises:
        LimitError: It has too many chunks.
        ValueError: It is damaged.
    """
    view = memoryview(data)
    parts, texts = [view[:8]], dict[bytes, bytes]()
    size, depth, colours, in_front = (0, 0), 0, 0, True
    for kind, start, end, is_intact in chunks(data):
        body = view[start + 8 : end - 4]
        critical = not kind[0] & 32
        if critical and kind != b"IDAT" and not is_intact:
            raise ValueError(f"checksum of {kind.decode('ascii', 'replace')}")
        if kind == b"IHDR" and len(body) == 13:
            size = (int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big"))
            depth, colours = body[8], body[9]
        if kind in (b"IHDR", b"PLTE", b"IDAT") or (kind == b"tRNS" and is_intact and in_front):
            parts.append(view[start:end])
            in_front = in_front and kind != b"IDAT"
        elif not critical and is_intact and len(body) <= MAX_METADATA:
            texts.setdefault(kind if kind not in (b"iTXt", b"zTXt", b"tEXt") else _keyword(body), bytes(body))
    if not size[0] or in_front:
        raise ValueError("it ends before its picture starts")
    is_transparent = any(bytes(part[4:8]) == b"tRNS" for part in parts[:4])
    if is_transparent and depth == 16 and colours == 2:
        raise ValueError("a transparent colour of 16 bits is not read")
    icc = texts.get(b"iCCP", b"").partition(b"\0")[2][1:]
    cicp = texts.get(b"cICP", b"")
    return Header(
        "PNG",
        size,
        lambda: PngImageFile(parts_file([*parts, _IEND])),
        cost=_cost(depth, colours, is_transparent=is_transparent),
        exif=texts.get(b"eXIf", b"") or _raw_profile(texts.get(_EXIF_KEYWORD, b"")),
        xmp=_text(texts.get(_XMP_KEYWORD, b"")),
        icc=_inflate(icc),
        primaries=cicp[0] if cicp else None,
        filled=lambda: _filled(parts, size, depth * _CHANNELS[colours]),
        filling=b"" if view[28] else b"\0",  # of an interlaced one it is other pixels that are missing
    )


def _filled(parts: Sequence[memoryview], size: tuple[int, int], bits: int) -> float:
    """Return the share of the picture that its data end without, properly but too early; 0 where they do not end."""
    decompressor, count, rest = zlib.decompressobj(), 0, b""
    for part in parts:
        rest += part[8:-4] if bytes(part[4:8]) == b"IDAT" else b""
        while rest and not decompressor.eof:
            count += len(decompressor.decompress(rest, 2**20))
            rest = decompressor.unconsumed_tail
    passes = _ADAM7 if parts[1][20] else ((0, 0, 1, 1),)
    across_down = [(-(-(size[0] - left) // across), -(-(size[1] - top) // down)) for left, top, across, down in passes]
    whole = sum(height * (1 + -(-width * bits // 8)) for width, height in across_down if width > 0 and height > 0)
    return max(0.0, 1 - count / whole) if decompressor.eof else 0.0


def _cost(depth: int, colours: int, *, is_transparent: bool) -> float:
    """Return bytes a pixel, as measured: of the picture itself, and of a second one where it is converted."""
    if is_transparent or colours in (4, 6):
        return 8
    return 4 if colours == 2 else 6.5 if depth == 16 else 6


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int, bool]]:
    """Yield type, start and end of each chunk, and whether it is intact; of data chunks the checksum is not read.

    Raises:
        ValueError: The picture is cut short.
    """
    position, count = 8, 0
    while position + 8 <= len(data):
        check_parts(count := count + 1, "chunks")
        kind, end = (
            data[position + 4 : position + 8],
            position + 12 + int.from_bytes(data[position : position + 4], "big"),
        )
        if kind == b"IEND" or not kind.isalpha():
            return
        if end > len(data) + 4 * (kind == b"IDAT"):
            if kind[0] & 32:
                return
            raise ValueError("its picture is cut short")
        crc = kind == b"IDAT" or zlib.crc32(data[position + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
        yield kind, position, end, crc
        position = end


def _keyword(body: memoryview) -> bytes:
    return bytes(body[:80]).partition(b"\0")[0]


def _inflate(compressed: bytes) -> bytes:
    """Decompress metadata; nothing where they are broken or too long."""
    with suppress(zlib.error):
        decompressor = zlib.decompressobj()
        content = decompressor.decompress(compressed, MAX_METADATA)
        return content if decompressor.eof else b""
    return b""


def _text(chunk: bytes) -> bytes:
    """Return the text of an `iTXt` chunk: keyword, whether and how it is compressed, language, keyword again."""
    flags = chunk.partition(b"\0")[2]
    text = flags[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflate(text) if flags[:1] == b"\1" else text


def _raw_profile(chunk: bytes) -> bytes:
    """Return the EXIF block that ImageMagick writes as hexadecimal text, plain or compressed, behind three lines."""
    text = chunk.partition(b"\0")[2]
    lines = (_inflate(text[1:]) if text[:1] == b"\0" else text).split(b"\n", 3)
    digits = lines[3].translate(None, b" \t\r\n") if len(lines) > 3 else b""
    with suppress(ValueError):
        return bytes.fromhex(digits.decode("ascii", "replace"))
    return b""

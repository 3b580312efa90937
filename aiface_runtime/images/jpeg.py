"""JPEG: its segments, its scans, and what of it is missing. Source: ITU-T T.81, annexes B and G."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import ImageChops
from PIL.JpegImagePlugin import JpegImageFile

from .header import Header, LimitError, check_parts, joined, parts_file
from .loading import OutOfDataError, load

if TYPE_CHECKING:
    from .header import Part

END = b"\xff\xd9"

# A scan costs time for every block, with hardly a byte in the file; encoders write up to some 20.
_MAX_SCANS = 64
_MAX_SCANNED = 600_000_000  # pixels of all scans together
_MAX_MARKS = 4_000_000  # bytes of 255, at each of which a marker may start; of a whole photo's data it is every 256th
# Fill bytes, which may precede a marker, are passed over: a pattern of theirs would be tried at each of millions.
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
_AFTER_SCAN = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # neither a stuffed byte nor a restart marker
_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
_DECODED = _SIZES | {0xC4, 0xCC, 0xDB, 0xDD, 0xE0, 0xEE}  # with JFIF's and Adobe's segments, which name the colours
_SCAN, _EOI, _TABLES = 0xDA, 0xD9, 0xDB
# The first ten numbers of T.81's table K.1 in zigzag order: libjpeg multiplies them by the factor that a quality stands
# for, and they are so low that from quality 5 on it clips none of them.
_FIRST, _FIRST_SUM = 10, 16 + 11 + 12 + 14 + 12 + 10 + 16 + 14 + 13 + 14
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"


@dataclass(frozen=True, slots=True)
class _Frame:
    """The frame header: size, and horizontal times vertical sampling factor of each component by its number."""

    marker: int
    size: tuple[int, int]
    factors: dict[int, int]
    full_factor: int

    @property
    def coefficient_bytes(self) -> int:
        """Bytes of all coefficients, which are held where they come in several scans."""
        return 2 * self.size[0] * self.size[1] * sum(self.factors.values()) // self.full_factor


@dataclass(slots=True)
class _Front:
    """What lies before the first scan: parts to decode, metadata, frame, quality, where the scan starts."""

    parts: list[Part]
    start: int
    frame: _Frame | None = None
    exif: bytes = b""
    xmp: bytes = b""
    icc: bytes = b""
    quality: int | None = None


def read_jpeg(data: bytes) -> Header:
    """Read the header of a JPEG; later pictures of an MPO, gain maps among them, are left alone.

    Raises:
        LimitError: It has too many segments or scans.
        ValueError: It is damaged.
    """
    if len(data) > _MAX_MARKS and data.count(b"\xff") > _MAX_MARKS:
        raise LimitError("over 4,000,000 fill bytes; save it again")
    front = _read_front(data)
    start, frame = front.start, front.frame
    if frame is None or start == len(data):
        raise ValueError("it ends before its picture starts")
    whole = memoryview(data)[: len(data.rstrip(b"\0"))]  # zeros: the rest of a file whose writing was cut off
    scans = _read_scans(whole, start, frame)
    single = len(scans) == 1 and frame.marker not in _PROGRESSIVE

    def open_whole() -> JpegImageFile:
        return JpegImageFile(parts_file([*front.parts, whole[start:], END]))

    def open_without_end() -> JpegImageFile:
        found = _AFTER_SCAN.search(whole, start + 2 + _length(whole, start + 2))
        scan = whole[start : found.start() if found else None].tobytes().rstrip(b"\xff")
        return JpegImageFile(
            parts_file([*front.parts, scan, bytes(16)])
        )  # zeros: libjpeg reads ahead of the last block

    return Header(
        "JPEG",
        frame.size,
        open_whole,
        cost=4 if len(frame.factors) < 4 else 8,
        fixed_cost=0 if single else frame.coefficient_bytes,
        exif=front.exif,
        xmp=front.xmp,
        icc=front.icc,
        quality=front.quality,
        missing=_missing_coefficients(scans, frame),
        has_end=data.rfind(END, start) > 0,
        filled=(lambda: _filled_rows(open_whole(), open_without_end())) if single else None,
        filling=b"" if len(frame.factors) > 3 else b"\x80",
    )


def _read_front(data: bytes) -> _Front:
    front = _Front([data[:2]], len(data))
    for marker, begin, body, end in segments(data):
        if marker == _SCAN:
            front.start = begin
            break
        content = data[body:end]
        if marker in _SIZES:
            front.frame = _read_frame(marker, content)
        elif marker == _TABLES:
            front.quality = _quality(content) if front.quality is None else front.quality
        elif marker == 0xE1 and content.startswith(_EXIF):
            front.exif = joined(front.exif, content[6:] if front.exif else content)
        elif marker == 0xE1 and content.startswith(_XMP):
            front.xmp = content[len(_XMP) :]
        elif marker == 0xE2 and content.startswith(_ICC):
            front.icc = joined(front.icc, content[len(_ICC) + 2 :])
        if marker in _DECODED:
            front.parts.append(memoryview(data)[begin:end])
    return front


def segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield marker, its start, start of the content and end of the segment, up to the first scan."""
    position, count = 2, 0
    while found := _MARKER.search(data, position):
        marker, begin, body = found[1][0], found.end() - 2, found.end() + 2
        check_parts(count := count + 1, "segments")
        if marker == _EOI:
            return
        if marker in _BARE:
            position = found.end()
            continue
        length = _length(data, found.end())
        position = found.end() + length
        if length < 2 or position > len(data):
            raise ValueError("a segment is longer than the file")
        yield marker, begin, body, position


def _read_frame(marker: int, content: bytes) -> _Frame:
    height, width, count = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big"), content[5]
    factors = {content[6 + 3 * i]: (content[7 + 3 * i] >> 4, content[7 + 3 * i] & 15) for i in range(count)}
    if not all(0 < across < 5 and 0 < down < 5 for across, down in factors.values()) or len(factors) != count:
        raise ValueError("its components are not described")
    full = max(across for across, _ in factors.values()) * max(down for _, down in factors.values())
    return _Frame(marker, (width, height), {number: a * d for number, (a, d) in factors.items()}, full)


def _quality(tables: bytes) -> int | None:
    """Return libjpeg's quality, 1 to 100, whose table is as coarse as the first, which is that of the luma.

    The inverse of libjpeg's `jpeg_quality_scaling`.
    """
    width = 2 if tables[:1] >= b"\x10" else 1  # bytes of a number
    numbers = [int.from_bytes(tables[at : at + width], "big") for at in range(1, 1 + _FIRST * width, width)]
    if not all(numbers):  # none of a file that can be decoded
        return None
    percent = 100 * sum(numbers) / _FIRST_SUM
    return max(1, min(100, round(100 - percent / 2 if percent < 100 else 5000 / percent)))


@dataclass(frozen=True, slots=True)
class _Scan:
    """Components, first and last coefficient, and the bit down to which the scan gives them."""

    components: bytes
    first: int
    last: int
    low_bit: int


def _read_scans(data: Part, start: int, frame: _Frame) -> list[_Scan]:
    """Read the header of every scan of the first picture; of one scan with all components, nothing else is walked."""
    scans: list[_Scan] = []
    position: int | None = start
    while position is not None:
        length = _length(data, position + 2)
        content = bytes(data[position + 4 : position + 2 + length])
        components = content[1 : 1 + 2 * content[0] : 2] if content else b""
        if not components or len(content) < 4 + 2 * len(components):
            raise ValueError("it ends before its picture starts")
        scans.append(_Scan(components, content[-3], content[-2], content[-1] & 15))
        if len(scans) > _MAX_SCANS or (len(scans) - 1) * frame.size[0] * frame.size[1] > _MAX_SCANNED:
            raise LimitError(f"{len(scans)} scans or more; save it again")
        if frame.marker not in _PROGRESSIVE and len(scans) == 1 and len(components) == len(frame.factors):
            return scans
        position = _next_scan(data, position + 2 + length)
    return scans


def _next_scan(data: Part, position: int) -> int | None:
    """Return where the next scan of this picture starts, None where there is none."""
    count = 0
    while found := _AFTER_SCAN.search(data, position):
        marker, position = found[1][0], found.end()
        check_parts(count := count + 1, "segments")
        if marker == _SCAN:
            return position - 2 if position + 2 < len(data) else None
        if marker == _EOI:
            return None
        position += _length(data, position)
    return None


def _length(data: Part, position: int) -> int:
    return int.from_bytes(data[position : position + 2], "big")


def _missing_coefficients(scans: Sequence[_Scan], frame: _Frame) -> float:
    """Return the share of coefficients that no scan gives to the last bit, 0 to 1; each counts by its component."""
    if frame.marker not in _PROGRESSIVE:
        given = {number for scan in scans for number in scan.components}
        absent = sum(factor for number, factor in frame.factors.items() if number not in given)
        return absent / sum(frame.factors.values())
    given_to_the_last = {
        (number, index)
        for scan in scans
        if scan.low_bit == 0
        for number in scan.components
        for index in range(scan.first, min(scan.last, 63) + 1)
    }
    absent = sum(
        factor for number, factor in frame.factors.items() for i in range(64) if (number, i) not in given_to_the_last
    )
    return absent / (64 * sum(frame.factors.values()))


def _filled_rows(whole: JpegImageFile, without_end: JpegImageFile) -> float:
    """Return the share of rows, at the bottom, for which a JPEG in one scan has no data, 0 to 1.

    libjpeg lays grey there and says nothing; without an end marker it stops at the first block that it lacks. They are
    decoded at an eighth of the size, which takes hardly any memory.
    """
    for image in (whole, without_end):
        image.draft(None, (1, 1))
        with suppress(OutOfDataError):
            load(image)
    changed = ImageChops.difference(whole, without_end).getbbox()
    return (whole.height - changed[1]) / whole.height if changed else 0.0

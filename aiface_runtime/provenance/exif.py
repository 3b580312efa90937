"""EXIF blocks and the directories of TIFF files. Source: TIFF 6.0; Exif 3.0 (CIPA DC-008).

Artist, copyright, owner, serial numbers and positions are not read: who took a photo, and where, is nobody's question
here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import generators
from .quoting import as_text
from .results import Finding
from .xmp import camera_finding

_DESCRIPTION, _MAKE, _MODEL, _SOFTWARE, _EXIF, _COMMENT = 0x010E, 0x010F, 0x0110, 0x0131, 0x8769, 0x9286
_XP_TITLE, _XP_COMMENT, _XP_SUBJECT = 0x9C9B, 0x9C9C, 0x9C9F
XMP, IPTC, PHOTOSHOP = 0x02BC, 0x83BB, 0x8649
_READ = {
    _DESCRIPTION: "ImageDescription",
    _MAKE: "Make",
    _MODEL: "Model",
    _SOFTWARE: "Software",
    _COMMENT: "UserComment",
    _XP_TITLE: "XPTitle",
    _XP_COMMENT: "XPComment",
    _XP_SUBJECT: "XPSubject",
    XMP: "XMP",
    IPTC: "IPTC",
    PHOTOSHOP: "Photoshop",
}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 18: 8, 129: 1}  # of a value, by its type
_MAX_ENTRIES = 4096
_MAX_DIRECTORIES = 4


@dataclass(slots=True)
class Exif:
    """The tags that are read, as bytes by number, and the byte order as `struct` writes it."""

    order: str
    tags: dict[int, bytes] = field(default_factory=dict)


def read_exif(data: bytes, max_bytes: int) -> Exif:
    """Read the first directory of a TIFF file or EXIF block, and the one for EXIF in it.

    Args:
        data: The file, or the block with or without its `Exif` in front.
        max_bytes: Bytes of one tag that are read.

    Raises:
        ValueError: It is damaged before its first tag.
    """
    for _ in range(2):  # some write the start twice
        data = data.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
    if not order:
        raise ValueError("it starts like no EXIF block")
    try:
        is_big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
        exif = Exif(order)
        waiting = [struct.unpack_from(f"{order}Q" if is_big else f"{order}I", data, 8 if is_big else 4)[0]]
        for start in waiting:  # which grows
            for tag, content in _entries(data, order, start, max_bytes, is_big=is_big):
                if tag == _EXIF and len(waiting) < _MAX_DIRECTORIES:
                    waiting.append(int.from_bytes(content[:8], "little" if order == "<" else "big"))
                elif tag in _READ:
                    exif.tags.setdefault(tag, content)
    except struct.error as error:
        raise ValueError("it ends within a directory") from error
    return exif


def _entries(data: bytes, order: str, start: int, max_bytes: int, *, is_big: bool) -> Iterator[tuple[int, bytes]]:
    layout, size, offset = (f"{order}HHQ", 8, f"{order}Q") if is_big else (f"{order}HHI", 4, f"{order}I")
    if start > len(data):
        return
    (count,) = struct.unpack_from(f"{order}Q" if is_big else f"{order}H", data, start)
    first, step = start + (8 if is_big else 2), 12 + 2 * (size - 4)
    for position in range(first, first + step * min(count, _MAX_ENTRIES), step):
        if position + step > len(data):
            return  # what stood before it is whole
        tag, kind, number = struct.unpack_from(layout, data, position)
        if tag not in _READ and tag != _EXIF:
            continue
        length, at = _BYTES.get(kind, 0) * number, position + step - size
        if length > size:
            (at,) = struct.unpack_from(offset, data, at)
        yield tag, data[at : at + min(length, max_bytes)]


def findings_of(exif: Exif, where: str) -> Iterator[Finding]:
    """Yield what the tags of an EXIF block say."""
    texts = {tag: text for tag, content in exif.tags.items() if (text := _text(exif, tag, content).strip())}
    plain = {}
    for tag, text in texts.items():
        name = f"{where} {_READ[tag]}"
        settings = generators.settings_finding(text, name)  # ComfyUI writes them in place of a camera's name
        if settings is None and tag not in (_MAKE, _MODEL, _SOFTWARE):
            settings = generators.label_finding(text, name)
        if settings is not None:
            yield settings
        else:
            plain[tag] = text
    camera = [tag for tag in (_MAKE, _MODEL) if tag in plain]
    if camera:
        names = f"{where} {', '.join(_READ[tag] for tag in camera)}"
        yield camera_finding([plain[tag] for tag in camera], names)
    if _SOFTWARE in plain:
        yield generators.program_finding(plain[_SOFTWARE], f"{where} Software")


def _text(exif: Exif, tag: int, content: bytes) -> str:
    if tag in (XMP, IPTC, PHOTOSHOP):
        return ""
    if tag == _COMMENT:
        return user_comment(content, exif.order)
    if tag in (_XP_TITLE, _XP_COMMENT, _XP_SUBJECT):
        return content.decode("utf-16-le", "replace").partition("\0")[0]
    return as_text(content.split(b"\0", 1)[0])


def user_comment(content: bytes, order: str) -> str:
    """Return the text of a user comment, which 8 bytes in front of it say the encoding of.

    Programs disagree on the byte order of `UNICODE`; the one that makes Latin letters of more of it is taken.
    """
    code, body = content[:8], content[8:]
    if code == b"UNICODE\0":
        low_first, high_first = body[1::2].count(0), body[::2].count(0)
        if low_first == high_first == 0 and not len(body) % 2 and body.isascii():
            return as_text(body)  # some write ASCII under that name
        little = low_first > high_first or (low_first == high_first and order == "<")
        return body.decode("utf-16-le" if little else "utf-16-be", "replace").strip("\0\ufeff")
    if code.startswith((b"ASCII\0", b"JIS\0", bytes(8))):
        return as_text(body.strip(b"\0"))
    return as_text(content)

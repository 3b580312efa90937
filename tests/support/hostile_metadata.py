"""Small and large files whose metadata are made to cost time or memory, and what is said of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping

from tests.support.metadata import jpeg_with, packet, picture, png_with, webp_with

_XMP, _MORE = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_REFUSED, _TOO_MUCH = "document type definition", "more than 8 MiB or 1000 blocks"
_JUMBF = b"jumb\0\0\0\x1djumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9bq\x03c2pa\0"


def _laughs() -> bytes:
    entities = [b'<!ENTITY a0 "ha">']
    entities += [b'<!ENTITY a%d "%s">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 12)]
    return b"<!DOCTYPE x [%s]><x>&a11;</x>" % b"".join(entities)


def _xmp(content: bytes) -> Callable[[], bytes]:
    return lambda: webp_with((b"XMP ", content))


def _compressed(keyword: bytes, content: bytes) -> tuple[bytes, bytes]:
    return b"zTXt", keyword + b"\0\0" + zlib.compress(content)


def _exif_loop() -> bytes:
    entries = struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x0131, 2, 2**32 - 1, 0)
    return webp_with((b"EXIF", b"II*\0\x08\0\0\0\2\0" + entries + bytes(4)))


def _nested_boxes() -> bytes:
    boxes = b"".join(struct.pack(">I", 65_000 - 37 * depth) + _JUMBF for depth in range(1_700))
    return jpeg_with((0xEB, b"JP\0\1\0\0\0\1" + boxes))


CASES: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "laughs": (_xmp(_laughs()), _REFUSED),
    "external": (
        _xmp(b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><x><a:CreatorTool>&e;</a:CreatorTool></x>'),
        _REFUSED,
    ),
    "external-dtd": (_xmp(b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x a:CreatorTool="v"/>'), _REFUSED),
    "deep": (_xmp(b"<a>" * 1_000_000), "elements in each other"),
    "elements": (_xmp(b"<x>" + b"<a/>" * 1_500_000 + b"</x>"), "more elements than are read"),
    "attributes": (
        _xmp(b"<x " + b" ".join(b'a%x=""' % n for n in range(600_000)) + b"/>"),
        "more elements than are read",
    ),
    "long-value": (_xmp(b'<x a:CreatorTool="' + b"A" * 7_000_000 + b'"/>'), ""),
    "long-text": (_xmp(b"<x><a:CreatorTool>" + b"A&amp;" * 1_100_000 + b"</a:CreatorTool></x>"), ""),
    "no-end": (_xmp(b"<x a='" + b"<" * 7_000_000), "no XML"),
    "megabytes": (_xmp(b"<x>" + b" " * 50_000_000 + b"</x>"), "no XML"),
    "entity": (_xmp(packet(children="<dc:description>&nbsp;</dc:description>")), "no XML"),
    "png-texts": (lambda: png_with(*[_compressed(b"prompt", b"A" * 50_000_000)] * 300), _TOO_MUCH),
    "png-xmp": (lambda: png_with(*[_compressed(b"XML:com.adobe.xmp", b"<a/>" * 2_000_000)] * 50), _TOO_MUCH),
    "png-profiles": (
        lambda: png_with(*[_compressed(b"Raw profile type exif", b"\ne\n9\n" + b"41" * 4_000_000)] * 20),
        _TOO_MUCH,
    ),
    "png-chunks": (lambda: png_with(*[(b"tEXt", b"prompt\0x")] * 100_000), _TOO_MUCH),
    "png-zeros": (lambda: png_with((b"tEXt", b"parameters\0" + bytes(100_000) + b"Steps: 20, Seed: 1")), ""),
    "png-broken": (
        lambda: png_with((b"zTXt", b"prompt\0\0not zlib"), (b"iTXt", b"prompt\0\1"), (b"tEXt", b"prompt")),
        "",
    ),
    "patterns": (
        lambda: png_with(
            *(
                (b"tEXt", b"a\0" + part * 100_000)
                for part in (b"Steps: 1, ", b"made with ", b"\n prompt", b'"Label" : ')
            ),
            (b"tEXt", b"Title\0" + b"AI " * 25),
        ),
        "",
    ),
    "jpeg-xmp": (lambda: jpeg_with(*[(0xE1, _XMP + b"<a>" * 21_000)] * 900), _TOO_MUCH),
    "jpeg-extended": (
        lambda: jpeg_with(
            *((0xE1, _MORE + b"%032d" % n + struct.pack(">II", 2**32 - 1, 2**31) + b"<x>" * 20_000) for n in range(900))
        ),
        _TOO_MUCH,
    ),
    "jpeg-comments": (lambda: jpeg_with(*[(0xFE, b"A" * 65_000)] * 900), _TOO_MUCH),
    "jpeg-segments": (lambda: jpeg_with(*[(0xE5, b"")] * 100_000), "over 50,000 segments"),
    "photoshop": (
        lambda: jpeg_with((0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\xff\xff\xff\xff" + b"\x1c\2\x6e\x7f\xff" * 9_000)),
        "",
    ),
    "exif-loop": (_exif_loop, ""),
    "exif-entries": (
        lambda: webp_with((b"EXIF", b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 0x8769, 4, 1, 8) * 65_535)),
        "",
    ),
    "exif-cut": (lambda: webp_with((b"EXIF", b"II*\0\xff\xff\0\0")), ""),
    "exif-none": (lambda: webp_with((b"EXIF", b"no EXIF at all")), "cannot be read"),
    "tiff-tags": (
        lambda: (
            b"II*\0\x08\0\0\0\2\0"
            + b"".join(struct.pack("<HHII", tag, 7, 2**31, 8) for tag in (700, 0x8649))
            + bytes(60_000_000)
        ),
        "no XML",
    ),
    "gif-blocks": (lambda: picture("GIF")[:-1] + b"\x21\xfe\1a\0" * 60_000 + b";", _TOO_MUCH),
    "boxes": (_nested_boxes, ""),
    "boxes-long": (lambda: jpeg_with(*[(0xEB, b"JP\0\1\0\0\0\1\0\0\xff\xff" + _JUMBF + b"\xff" * 60_000)] * 900), ""),
}

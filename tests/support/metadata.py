"""Small pictures with metadata of every kind, put together by hand or by Pillow."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"


def picture(kind: str = "PNG", **options: object) -> bytes:
    """Return a small picture in one of Pillow's formats; `HEIF` needs pillow-heif."""
    image = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    buffer = io.BytesIO()
    if kind == "HEIF":
        from pillow_heif import from_pillow

        from_pillow(image).save(buffer, **options)
    else:
        image.save(buffer, kind, **options)
    return buffer.getvalue()


def packet(properties: str = "", children: str = "") -> bytes:
    """Return an XMP packet whose one description has these attributes and children."""
    names = f'xmlns:Iptc4xmpExt="{_IPTC}" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/"'
    names += ' xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
    description = f'<rdf:Description rdf:about="" {names} {properties}>{children}</rdf:Description>'
    packet = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">{description}</rdf:RDF></x:xmpmeta>'
    return f'<?xpacket begin="\ufeff" id="W5M0"?>{packet}<?xpacket end="w"?>'.encode()


def exif(tags: dict[int, object], comment: bytes = b"") -> bytes:
    """Return an EXIF block with tags of its first directory, and a user comment."""
    block = Image.Exif()
    for tag, value in tags.items():
        block[tag] = value
    if comment:
        block.get_ifd(0x8769)[0x9286] = comment
    return block.tobytes()


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG with further chunks behind its first."""
    data = picture("PNG")
    made = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:33] + made + data[33:]


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    """Return a JPEG with further segments, by marker, behind its start."""
    data = picture("JPEG")
    made = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return data[:2] + made + data[2:]


def webp_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a WebP with further chunks at its end."""
    body = picture("WEBP")[8:]
    body += b"".join(kind + struct.pack("<I", len(part)) + part + bytes(len(part) % 2) for kind, part in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_with(*extensions: bytes) -> bytes:
    """Return a GIF with further extensions before its picture."""
    data = picture("GIF")
    start = data.index(b"\x2c", 13 + (3 << (data[10] & 7) + 1))
    return data[:start] + b"".join(extensions) + data[start:]


def text(kind: str, keyword: str, content: str) -> tuple[bytes, bytes]:
    """Return a PNG text chunk of one of the three kinds."""
    if kind == "iTXt":
        return b"iTXt", keyword.encode() + b"\0\0\0\0\0" + content.encode()
    if kind == "zTXt":
        return b"zTXt", keyword.encode() + b"\0\0" + zlib.compress(content.encode("latin-1"))
    return b"tEXt", keyword.encode() + b"\0" + content.encode("latin-1")

"""WebP: the chunks of its first frame. Source: RFC 9649."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from .header import MAX_METADATA, Header, check_parts

_PICTURE = (b"VP8 ", b"VP8L", b"ALPH", b"ANIM")


def read_webp(data: bytes) -> Header:
    """Read the header of a WebP file; of an animation the first frame.

    Raises:
        LimitError: It has too many chunks.
        ValueError: It is damaged.
    """
    view = memoryview(data)
    parts: list[bytes] = []
    metadata: dict[bytes, bytes] = {}
    size, frames = (0, 0), 0
    for kind, start, end in chunks(data):
        body = view[start + 8 : end]
        if kind == b"VP8X" and len(body) >= 10:
            size = (1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little"))
            flags = bytes([body[0] & 0x12])  # transparency and animation; what is left out is not announced
            parts.append(view[start : start + 8].tobytes() + flags + body[1:].tobytes())
        elif kind in _PICTURE or (kind == b"ANMF" and frames == 0):
            parts.append(view[start : end + (end - start) % 2].tobytes())
            frames += kind in (b"VP8 ", b"VP8L", b"ANMF")
            size = size if size[0] else _frame_size(kind, bytes(body[:10]))
        elif kind in (b"EXIF", b"XMP ", b"ICCP") and len(body) <= MAX_METADATA:
            metadata.setdefault(kind, bytes(body))
    content = b"WEBP" + b"".join(parts)
    riff = b"RIFF" + len(content).to_bytes(4, "little") + content
    return Header(
        "WEBP",
        size,
        lambda: _decode(riff, size),
        cost=16,
        fixed_cost=2 * len(data),
        exif=metadata.get(b"EXIF", b""),
        xmp=metadata.get(b"XMP ", b""),
        icc=metadata.get(b"ICCP", b""),
    )


def _decode(riff: bytes, size: tuple[int, int]) -> Image.Image:
    """Decode the first frame, as Pillow's plugin does, which asks the application's MAX_IMAGE_PIXELS first."""
    from PIL import _webp

    decoder = _webp.WebPAnimDecoder(riff)
    mode = decoder.get_info()[-1]
    frame = decoder.get_next()
    if frame is None:
        raise ValueError("its picture is cut short")
    return Image.frombytes("RGB" if mode == "RGBX" else mode, size, frame[0], "raw", mode)


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each chunk of a WebP file, its header of 8 bytes included."""
    position, count = 12, 0
    while position + 8 <= len(data):
        check_parts(count := count + 1, "chunks")
        end = position + 8 + int.from_bytes(data[position + 4 : position + 8], "little")
        yield data[position : position + 4], position, min(end, len(data))
        position = end + end % 2


def _frame_size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    return (int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF)

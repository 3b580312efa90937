"""Small or valid files that cost a careless decoder seconds or gigabytes, by name."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, features

SIDE = 5_400  # just under 30 million pixels


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture in a format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(width: int, height: int, depth: int, colours: int, *chunks: bytes, interlace: int = 0) -> bytes:
    """Return a PNG of zeros, with chunks before the picture."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    passes = _ADAM7 if interlace else ((0, 0, 1, 1),)
    compressor = zlib.compressobj(1)
    rows = b""
    for left, top, across, down in passes:
        stride = 1 + -(-(-(-(width - left) // across) * channels * depth) // 8)
        rows += b"".join(compressor.compress(bytes(stride)) for _ in range(-(-(height - top) // down)))
    rows += compressor.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


def many_scans() -> bytes:
    """Return a progressive JPEG whose last scan is repeated 3,000 times."""
    data = encoded(Image.new("RGB", (2000, 2000), "grey"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 3000 + b"\xff\xd9"


def progressive(side: int = 5_400) -> bytes:
    """Return a progressive JPEG without subsampling: its coefficients take six bytes a pixel."""
    return encoded(Image.new("RGB", (side, side), "grey"), "JPEG", progressive=True, subsampling=0)


def jpeg_of_size(height: int, width: int | None = None) -> bytes:
    """Return a JPEG that announces more than it has."""
    small = encoded(Image.new("RGB", (64, 64)), "JPEG")
    start = small.index(b"\xff\xc0")
    return small[: start + 5] + struct.pack(">HH", height, width or height) + small[start + 9 :]


def jpeg_of_segments() -> bytes:
    """Return a JPEG of 64 MB of empty comments."""
    small = encoded(Image.new("RGB", (64, 64)), "JPEG")
    return small[:2] + b"\xff\xfe\0\2" * (15 * 2**20) + small[2:]


def jpeg_of_fill() -> bytes:
    """Return a JPEG with 60 MB of fill bytes before its first marker."""
    small = encoded(Image.new("RGB", (64, 64)), "JPEG")
    return small[:2] + b"\xff" * (60 * 2**20) + small[2:]


def jpeg_of_open_fill() -> bytes:
    """Return a JPEG with 60 MB of fill bytes that no marker follows, before its first marker and after its last."""
    small = encoded(Image.new("RGB", (64, 64)), "JPEG")
    fill = b"\xff" * (30 * 2**20) + b"\0"
    return small[:2] + fill + small[2:-2] + fill


def jpeg_of_exif() -> bytes:
    """Return a JPEG of 60 MB of EXIF segments, each of which goes on with the one before."""
    small = encoded(Image.new("RGB", (64, 64)), "JPEG")
    return small[:2] + (b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)) * 960 + small[2:]


def jpeg_of_blocks(side: int) -> bytes:
    """Return a JPEG of one colour, with all of its data."""
    return encoded(Image.new("L", (side, side)), "JPEG", quality=5)


def few_scans(count: int, side: int = 5_700) -> bytes:
    """Return a progressive JPEG of grey as large as its coefficients may be, whose last scan is repeated."""
    data = encoded(Image.new("L", (side, side), "grey"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def png_of_starts() -> bytes:
    """Return a PNG whose EXIF block starts ten million times."""
    return png(64, 64, 8, 2, chunk(b"eXIf", b"Exif\0\0" * 10_000_000))


def png_of_blanks() -> bytes:
    """Return a PNG whose EXIF block, as text, is blank."""
    return png(64, 64, 8, 2, chunk(b"tEXt", b"Raw profile type exif\0\n\n\n" + b" " * 60_000_000))


def png_of_short_data() -> bytes:
    """Return a PNG whose data end properly after a third of its rows."""
    whole = png(5000, 5000, 8, 0)
    return whole[:25] + b"\2" + whole[26:29] + struct.pack(">I", zlib.crc32(whole[12:25] + b"\2\0\0\0")) + whole[33:]


def blank_ppm() -> bytes:
    """Return a PPM with 60 MB of blanks in its header."""
    return b"P6" + b" " * 60_000_000 + b"64 64 255\n" + bytes(3 * 64 * 64)


def png_of_chunks() -> bytes:
    """Return a PNG of 5 million empty text chunks."""
    whole = png(64, 64, 8, 2)
    return whole[:33] + chunk(b"tEXt", b"") * 5_000_000 + whole[33:]


def png_of_data_chunks() -> bytes:
    """Return a PNG with as many empty data chunks as 60 MB hold."""
    whole = png(64, 64, 8, 2)
    return whole[:33] + chunk(b"IDAT", b"") * 5_000_000 + whole[33:]


def zipped_profile() -> bytes:
    """Return a PNG whose profile and text are 2 GB each when unpacked."""
    compressor = zlib.compressobj(9)
    zeros = b"".join(compressor.compress(bytes(2**20)) for _ in range(2048)) + compressor.flush()
    return png(64, 64, 8, 2, chunk(b"iCCP", b"p\0\0" + zeros), chunk(b"zTXt", b"Raw profile type exif\0\0" + zeros))


def gif_of_comments() -> bytes:
    """Return a GIF with 60 MB of comments before its frame, one byte a block."""
    whole = encoded(Image.new("P", (64, 64)), "GIF")
    start = whole.index(b",", 13)
    return whole[:start] + b"!\xfe" + b"\1a" * (30 * 2**20) + b"\0" + whole[start:]


def gif_of_frames() -> bytes:
    """Return a GIF of a small screen whose frame is 65,535 pixels wide and high."""
    whole = bytearray(encoded(Image.new("P", (64, 64)), "GIF"))
    start = whole.index(b",", 13)
    whole[start + 5 : start + 9] = b"\xff\xff\xff\xff"
    return bytes(whole)


def webp_of_canvas(side: int) -> bytes:
    """Return an animation whose canvas is far larger than its frame."""
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    whole = bytearray(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    whole[24:30] = (side - 1).to_bytes(3, "little") * 2
    return bytes(whole)


def webp_of_frames() -> bytes:
    """Return an animation of 200,000 frames."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    whole = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    body = whole[12:] + whole[whole.rindex(b"ANMF") :] * 200_000
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def rle_bmp(width: int = 5000, height: int = 4000) -> bytes:
    """Return a run-length encoded BMP of runs of one pixel, which Pillow reads in Python."""
    runs = (b"\1\7" * width + b"\0\0") * height + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(runs), 0, 0, 54 + 1024) + header + bytes(1024) + runs


def plain_ppm() -> bytes:
    """Return a PPM of numbers as text."""
    return b"P3 4000 4000 255\n" + b"0 " * (3 * 4000 * 4000 // 2) + b"0 " * 8_000_000


def odd_ppm() -> bytes:
    """Return a PPM with a highest value for which Pillow loops over the pixels in Python."""
    return b"P6 4500 4500 254\n" + bytes(3 * 4500 * 4500)


def xpm() -> bytes:
    """Return an XPM of 8,000 x 8,000 pixels."""
    return b'/* XPM */\nstatic char *x[] = {\n"8000 8000 1 1",\n"a c #000000",\n' + b'"aaaa",\n' * 100 + b"};"


def tiff(entries: dict[int, tuple[int, list[int]]], body: bytes = b"", order: str = "<") -> bytes:
    """Return a TIFF file of a directory behind the samples."""
    sizes = {1: "B", 3: "H", 4: "I", 7: "B"}
    start = 8 + len(body) + len(body) % 2
    contents_at = start + 2 + 12 * len(entries) + 4
    table, contents = struct.pack(f"{order}H", len(entries)), b""
    for tag, (kind, values) in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(values)}{sizes[kind]}", *values)
        table += struct.pack(f"{order}HHI", tag, kind, len(values))
        table += packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack(f"{order}I", contents_at + len(contents))
        contents += packed if len(packed) > 4 else b""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", start) + body.ljust(start - 8, b"\0") + table + bytes(4) + contents


def tiff_of_tile() -> bytes:
    """Return a TIFF of 64 x 64 pixels in one compressed tile of 60,000 x 60,000."""
    body = zlib.compress(bytes(64 * 64))
    return tiff(
        {
            256: (4, [64]),
            257: (4, [64]),
            258: (3, [8]),
            259: (3, [8]),
            262: (3, [1]),
            277: (3, [1]),
            322: (4, [60_000]),
            323: (4, [60_000]),
            324: (4, [8]),
            325: (4, [len(body)]),
        },
        body,
    )


def tiff_of_strips() -> bytes:
    """Return a TIFF of 8 million strips."""
    count = 8_000_000
    return tiff(
        {
            256: (4, [64]),
            257: (4, [64]),
            258: (3, [8]),
            259: (3, [1]),
            262: (3, [1]),
            273: (4, [8] * count),
            277: (3, [1]),
            278: (4, [1]),
        },
        bytes(64),
    )


def tiff_of_tags() -> bytes:
    """Return a TIFF whose 60,000 tags all point at the same 50 MB."""
    whole = bytearray(b"II*\0" + struct.pack("<I", 50 * 2**20) + bytes(50 * 2**20 - 8))
    whole += struct.pack("<H", 60_000)
    for tag in range(1000, 61_000):
        whole += struct.pack("<HHII", tag, 7, 50 * 2**20 - 8, 8)
    return bytes(whole + bytes(4))


def tiff_of_float(side: int = 4_500) -> bytes:
    """Return a TIFF of float samples."""
    return encoded(Image.fromarray(np.zeros((side, side), np.float32)), "TIFF", compression="tiff_adobe_deflate")


def jpeg2000(side: int, **options: object) -> bytes:
    """Return a JPEG 2000 code stream of one colour."""
    return encoded(Image.new("RGB", (side, side), "grey"), "JPEG2000", no_jp2=True, **options)


def jpeg2000_of_size(side: int) -> bytes:
    """Return a code stream that announces more than it has, in a JP2 file that does not."""
    whole = encoded(Image.new("RGB", (64, 64)), "JPEG2000")
    start = whole.index(b"\xff\x4f\xff\x51")
    size = struct.pack(">II", side, side)
    return whole[: start + 8] + size + whole[start + 16 : start + 24] + size + whole[start + 32 :]


def jpeg2000_of_precincts() -> bytes:
    """Return a code stream whose precincts are a pixel wide and high."""
    whole = jpeg2000(3000)
    start = whole.index(b"\xff\x52")
    length = int.from_bytes(whole[start + 2 : start + 4], "big")
    style = bytearray(whole[start + 4 : start + 2 + length])
    style[0] |= 1
    style += bytes(style[5] + 1)
    return whole[: start + 2] + struct.pack(">H", len(style) + 2) + style + whole[start + 2 + length :]


def avif_of_size(side: int) -> bytes:
    """Return an AVIF file that says it is far larger than its stream."""
    whole = encoded(Image.new("RGB", (64, 64)), "AVIF")
    start = whole.index(b"ispe") + 8
    return whole[:start] + struct.pack(">II", side, side) + whole[start + 8 :]


def hidden_avif() -> bytes:
    """Return an AVIF file that says it is far smaller than its stream."""
    whole = encoded(Image.new("RGB", (6000, 6000)), "AVIF", speed=10)
    start = whole.index(b"ispe") + 8
    return whole[:start] + struct.pack(">II", 64, 64) + whole[start + 8 :]


BOMBS: dict[str, Callable[[], bytes]] = {
    "jpeg-scans": many_scans,
    "jpeg-progressive": progressive,
    "jpeg-progressive-large": lambda: progressive(8_000),
    "jpeg-size": lambda: jpeg_of_size(65_500),
    "jpeg-size-14000": lambda: jpeg_of_size(14_000),
    "jpeg-segments": jpeg_of_segments,
    "jpeg-fill": jpeg_of_fill,
    "jpeg-open-fill": jpeg_of_open_fill,
    "jpeg-exif": jpeg_of_exif,
    "jpeg-blocks": lambda: jpeg_of_blocks(14_000),
    "jpeg-strip": lambda: jpeg_of_size(28_600, 895),
    "jpeg-18-scans": lambda: few_scans(12),
    "jpeg-64-scans": lambda: few_scans(58, 3_000),
    "png-starts": png_of_starts,
    "png-blanks": png_of_blanks,
    "png-short": png_of_short_data,
    "png-rgb": lambda: png(SIDE, SIDE, 8, 2),
    "png-rgba": lambda: png(SIDE, SIDE, 8, 6),
    "png-rgba-5000": lambda: png(5000, 5000, 8, 6),
    "png-rgba-16": lambda: png(5000, 5000, 16, 6),
    "png-grey-16": lambda: png(SIDE, SIDE, 16, 0),
    "png-grey-16-5000": lambda: png(5000, 5000, 16, 0),
    "png-grey-alpha-16": lambda: png(5000, 5000, 16, 4),
    "png-interlaced": lambda: png(5000, 5000, 8, 2, interlace=1),
    "png-palette": lambda: png(5000, 5000, 8, 3, chunk(b"PLTE", bytes(768)), chunk(b"tRNS", bytes(256))),
    "png-chunks": png_of_chunks,
    "png-data-chunks": png_of_data_chunks,
    "png-zipped": zipped_profile,
    "gif-comments": gif_of_comments,
    "gif-frame": gif_of_frames,
    "gif": lambda: encoded(Image.new("P", (5000, 5000)), "GIF", transparency=0),
    "webp-canvas": lambda: webp_of_canvas(9_400),
    "webp-canvas-3500": lambda: webp_of_canvas(3_500),
    "webp-frames": webp_of_frames,
    "webp": lambda: encoded(Image.new("RGBA", (3500, 3500), "red"), "WEBP", lossless=True, method=0, quality=0),
    "bmp-rle": rle_bmp,
    "bmp": lambda: encoded(Image.new("RGB", (4400, 4400)), "BMP"),
    "ppm-plain": plain_ppm,
    "ppm-odd": odd_ppm,
    "ppm-blank": blank_ppm,
    "bmp-rle-small": lambda: rle_bmp(1000, 500),
    "pgm-16": lambda: b"P5 5000 5000 65535\n" + bytes(2 * 5000 * 5000),
    "xpm": xpm,
    "tiff-tile": tiff_of_tile,
    "tiff-strips": tiff_of_strips,
    "tiff-tags": tiff_of_tags,
    "tiff-float": tiff_of_float,
    "tiff-rgb": lambda: encoded(Image.new("RGB", (4600, 4600)), "TIFF", compression="tiff_lzw"),
    "jpeg2000": lambda: jpeg2000(3300),
    "jpeg2000-large": lambda: jpeg2000(6000),
    "jpeg2000-blocks": lambda: jpeg2000(3000, codeblock_size=(4, 4)),
    "jpeg2000-tiles": lambda: jpeg2000(3000, tile_size=(32, 32)),
    "jpeg2000-size": lambda: jpeg2000_of_size(20_000),
    "jpeg2000-precincts": jpeg2000_of_precincts,
}
if features.check("avif"):
    BOMBS |= {
        "avif-size": lambda: avif_of_size(16_000),
        "avif-size-3600": lambda: avif_of_size(3_600),
        "avif-hidden": hidden_avif,
        "avif": lambda: encoded(Image.new("RGB", (3600, 3600)), "AVIF", speed=10),
    }

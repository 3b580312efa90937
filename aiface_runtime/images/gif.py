"""GIF: its first frame. Source: the GIF89a specification."""

from __future__ import annotations

from PIL.GifImagePlugin import GifImageFile

from .header import Header, check_parts, parts_file

_MAX_BLOCKS = 400_000  # of 255 bytes; they are walked, not copied


def read_gif(data: bytes) -> Header:
    """Read the header of a GIF; later frames are left alone.

    Raises:
        LimitError: It has too many extensions before its first frame.
        ValueError: It is damaged.
    """
    view = memoryview(data)
    position = 13 + palette_bytes(data[10])
    screen_end = position
    parts = [view[:position]]
    count = 0
    while (kind := data[position]) != 0x2C:
        check_parts(count := count + 1, "extensions")
        if kind == 0x21:
            end = blocks_end(data, position + 2)
            if data[position + 1] == 0xF9:  # transparency, in at most one of them that counts: the last
                parts[1:] = [view[position:end]]
            position = end
        elif kind == 0x3B:
            raise ValueError("it has no picture")
        else:
            position += 1
    left, top, width, height = (int.from_bytes(data[position + i : position + i + 2], "little") for i in (1, 3, 5, 7))
    start = position + 10 + palette_bytes(data[position + 9])
    end = blocks_end(data, start + 1)
    parts += [view[position:end], memoryview(b";")]
    screen = (int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"))
    size = (max(screen[0], left + width), max(screen[1], top + height))
    # Of a frame larger than the screen Pillow would ask the application's MAX_IMAGE_PIXELS.
    parts[0] = memoryview(data[:6] + b"".join(min(s, 65535).to_bytes(2, "little") for s in size) + data[10:screen_end])
    return Header("GIF", size, lambda: GifImageFile(parts_file(parts)), cost=6)


def palette_bytes(flags: int) -> int:
    """Return the length of the palette that a byte of flags announces."""
    return 3 << (flags & 7) + 1 if flags & 128 else 0


def blocks_end(data: bytes, position: int) -> int:
    """Return the end of a row of blocks, each of which starts with its length; the file's end where it is cut off."""
    count = 0
    while position < len(data) and data[position]:
        position += data[position] + 1
        count += 1
        if count > _MAX_BLOCKS:
            check_parts(count, "blocks")
    return min(position + 1, len(data))

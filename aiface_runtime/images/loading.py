"""The undecoded picture is decoded, whole or not at all, whatever the application set in Pillow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile

if TYPE_CHECKING:
    from PIL import _imaging


class OutOfDataError(Exception):
    """The data ended before the picture was whole; what there was of it is decoded."""


def load(image: Image.Image) -> None:
    """Decode a picture as its `load` does, without Pillow's LOAD_TRUNCATED_IMAGES, which passes over what is missing.

    Raises:
        OutOfDataError: The data ended before the picture was whole.
        OSError: The data are damaged.
    """
    if not isinstance(image, ImageFile.ImageFile) or image.format in ("AVIF", "HEIF") or _is_libtiff(image):
        image.load()  # which does not ask for it
        return
    image.load_prepare()
    try:
        for tile in sorted(image.tile, key=lambda tile: tile[2]):
            _decode_tile(image, tile)
    finally:
        image.tile = []
        image.readonly = 0
    image.load_end()


def _is_libtiff(image: ImageFile.ImageFile) -> bool:
    return bool(getattr(image, "use_load_libtiff", False))


def _decode_tile(image: ImageFile.ImageFile, tile: ImageFile._Tile) -> None:
    name, extents, offset, args = tile
    file = image.fp
    assert file is not None  # noqa: S101 until it is loaded
    file.seek(offset)
    decoder = Image._getdecoder(image.mode, name, args, image.decoderconfig)  # noqa: SLF001 as ImageFile.load does
    try:
        decoder.setimage(image.im, extents)
        if decoder.pulls_fd:
            decoder.setfd(file)
            _check(decoder.decode(b"")[1])
        else:
            # A JPEG's own reader would make up an end marker where the application set LOAD_TRUNCATED_IMAGES.
            read = image.load_read if isinstance(image, PngImageFile) else file.read
            _feed(decoder, read, image.decodermaxblock)
    finally:
        decoder.cleanup()


def _feed(decoder: _imaging.ImagingDecoder | ImageFile.PyDecoder, read: Callable[[int], bytes], block: int) -> None:
    consumed, rest = 0, b""
    while consumed >= 0:
        data = read(block)
        if not data:
            raise OutOfDataError("its picture is cut short")
        rest += data
        consumed, code = decoder.decode(rest)
        rest = rest[consumed:]
    _check(code)


def _check(code: int) -> None:
    if code < 0:
        raise OSError(ImageFile.ERRORS.get(code, f"decoder error {code}"))

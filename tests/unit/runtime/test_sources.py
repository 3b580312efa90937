"""Whatever is passed as a photo: read once, by one thread, to a limit, and named in one line where it cannot be."""

from __future__ import annotations

import base64
import gzip
import http.client
import io
import os
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import errors
from aiface_runtime.images import ImageInput, decode, load_rgb
from aiface_runtime.limits import Limits
from tests.corpus.bombs import encoded


@pytest.fixture(scope="module")
def photo() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    return encoded(Image.fromarray(pixels), "JPEG", quality=90)


class Raising:
    """A file whose reading fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, size: int = -1) -> bytes:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (http.client.IncompleteRead(b"part", 100), errors.ImageReadError),
        (zipfile.BadZipFile("no"), errors.ImageReadError),
        (zlib.error("no"), errors.ImageReadError),
        (EOFError(), errors.ImageReadError),
        (RecursionError(), errors.ImageReadError),
        (OSError(5, "Input/output error"), errors.ImageReadError),
        (MemoryError(), errors.ImageMemoryError),
    ],
)
def test_whatever_a_file_raises_is_about_that_photo(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^<Raising>: ") as caught:
        decode(Raising(error))
    assert isinstance(caught.value, errors.InputError)


def test_a_broken_archive_member(photo: bytes) -> None:
    packed = gzip.compress(photo)
    with gzip.open(io.BytesIO(packed[: len(packed) // 2])) as file, pytest.raises(errors.ImageReadError):
        decode(file)
    with gzip.open(io.BytesIO(packed)) as file:
        np.testing.assert_array_equal(load_rgb(file), load_rgb(photo))


class Pieces(io.RawIOBase):
    """A stream that gives a few bytes at a time, and knows how many were asked for."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.rest, self.given = data, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        count = min(1000, len(self.rest), size if size >= 0 else len(self.rest))
        piece, self.rest = self.rest[:count], self.rest[count:]
        self.given += count
        return piece


class Sizeless:
    """A file whose `read` takes no size."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self) -> bytes:
        return self.data


def test_streams_are_read_to_their_end_and_no_further_than_allowed(photo: bytes) -> None:
    for stream in (Pieces(photo), Sizeless(photo), io.BytesIO(photo)):
        np.testing.assert_array_equal(load_rgb(stream), load_rgb(photo))
    endless = Pieces(bytes(10**7))
    with pytest.raises(errors.ImageTooLargeError, match="at most 5,000"):
        decode(endless, limits=Limits(bytes=5000))
    assert endless.given == 5001
    with Path("/dev/zero").open("rb") as zeros, pytest.raises(errors.ImageTooLargeError):
        decode(zeros, limits=Limits(bytes=5000))


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    for name in ("fifo.jpg", "device.jpg"):
        with pytest.raises(errors.ImageReadError, match=rf"{name}: is no regular file"):
            decode(tmp_path / name)
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(20 * 2**30)
    with pytest.raises(errors.ImageTooLargeError, match=r"sparse\.jpg: 21,474,836,480 bytes; at most 67,108,864"):
        decode(tmp_path / "sparse.jpg")


def test_paths_of_bytes(photo: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo)
    with os.scandir(os.fsencode(tmp_path)) as entries:
        for entry in entries:
            np.testing.assert_array_equal(load_rgb(entry), load_rgb(photo))  # type: ignore[arg-type]


class Upload:
    """What web frameworks hand out."""

    async def read(self, size: int = -1) -> bytes:
        return b""


def closed(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.close()
    return image


def verified(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.verify()
    return image


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda data: Upload(), errors.ImageTypeError, r"await"),
        (lambda data: base64.b64encode(data).decode(), errors.ImageTypeError, r"base64\.b64decode"),
        (lambda data: "data:image/jpeg;base64," + base64.b64encode(data).decode(), errors.ImageTypeError, "b64decode"),
        (base64.b64encode, errors.ImageDecodeError, r"base64\.b64decode"),
        (closed, errors.ImageTypeError, "was closed or verified"),
        (verified, errors.ImageTypeError, "was closed or verified"),
        (lambda data: "", errors.ImageReadError, "empty path"),
        (lambda data: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", errors.ImageDecodeError, "not a picture"),
    ],
)
def test_common_mistakes_have_lines_of_their_own(make: object, kind: type[Exception], says: str, photo: bytes) -> None:
    with pytest.raises(kind, match=says) as caught:
        decode(make(photo))  # type: ignore[operator]
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_one_picture_used_several_times_at_once_is_one_picture(photo: bytes) -> None:
    expected = load_rgb(photo)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            lazy = Image.open(io.BytesIO(photo))
            for pixels in pool.map(load_rgb, [lazy] * 8):
                np.testing.assert_array_equal(pixels, expected)


def test_an_undecoded_picture_of_a_format_off_the_list_is_refused(photo: bytes) -> None:
    tga = encoded(Image.new("RGB", (64, 64)), "TGA")
    with pytest.raises(errors.ImageTypeError, match="TGA is not decoded here"):
        decode(Image.open(io.BytesIO(tga)))
    decoded = Image.open(io.BytesIO(tga))
    decoded.load()
    assert load_rgb(decoded).shape == (64, 64, 3)


def test_no_memory_is_not_damage(photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoMemory(bytes):
        def startswith(self, *_: object) -> bool:
            raise MemoryError

    source: ImageInput = NoMemory(photo)
    monkeypatch.setattr("aiface_runtime.images.sources._read", lambda *_: source)
    with pytest.raises(errors.ImageMemoryError, match="no memory left"):
        decode(photo)

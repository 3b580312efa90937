"""The one decoder: whatever the container and the mode, the pixels are what an eye would see."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import errors
from aiface_runtime.images import ImageInput, decode, load_rgb, read_once
from aiface_runtime.limits import DEFAULT_LIMITS
from aiface_runtime.preprocess import preprocess
from aiface_runtime.steps import Resize, ResizeShorter

RED, GREEN, BLUE = (220, 30, 40), (20, 200, 60), (10, 40, 210)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Red on the left, green on the right, blue along the bottom."""
    image = Image.new("RGB", size, RED)
    image.paste(GREEN, (size[0] // 2, 0, size[0], size[1]))
    image.paste(BLUE, (0, 3 * size[1] // 4, size[0], size[1]))
    return image


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone_for_every_kind_of_input(orientation: int, tmp_path: Path) -> None:
    upright = halves()
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],  # what the viewer turns by 270, the camera stored turned by 90
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for turn in undo.get(orientation, []):
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, "PNG", exif=exif)
    file = tmp_path / "turned.png"
    file.write_bytes(data)
    expected = np.asarray(upright)
    with file.open("rb") as stream:
        for source in (file, str(file), data, bytearray(data), memoryview(data), stream, Image.open(io.BytesIO(data))):
            np.testing.assert_array_equal(load_rgb(source), expected)


def test_hidden_colours_under_transparency_become_white() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 0] = 255  # a red that nobody sees
    rgba[4:, :, 3] = 255
    pixels = load_rgb(encoded(Image.fromarray(rgba), "PNG"))
    assert (pixels[:4] == 255).all()
    assert (pixels[4:] == (255, 0, 0)).all()


def test_palette_with_transparency_and_grey_with_alpha() -> None:
    palette = halves().quantize(8)
    transparent = palette.getpixel((0, 0))
    pixels = load_rgb(encoded(palette, "PNG", transparency=transparent))
    assert (pixels[0, 0] == 255).all()
    assert np.abs(pixels[0, -1].astype(int) - GREEN).max() < 8
    grey = Image.merge("LA", (Image.new("L", (4, 4), 10), Image.new("L", (4, 4), 0)))
    assert (load_rgb(encoded(grey, "PNG")) == 255).all()


def test_sixteen_bit_grey_is_scaled_not_cut_off() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(16, 0)
    for kind in ("PNG", "TIFF"):
        pixels = load_rgb(encoded(Image.fromarray(ramp), kind))
        np.testing.assert_array_equal(pixels[0, :, 0], np.arange(256))


def test_float_tiff() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(16, 0)
    np.testing.assert_array_equal(load_rgb(encoded(Image.fromarray(ramp), "TIFF"))[0, :, 1], np.arange(256))


def test_cmyk_jpeg_keeps_its_colours() -> None:
    pixels = load_rgb(encoded(halves((64, 64)).convert("CMYK"), "JPEG", quality=95)).astype(int)
    assert np.abs(pixels[8, 8] - RED).max() < 12
    assert np.abs(pixels[8, -8] - GREEN).max() < 12


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, GREEN, BLUE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.abs(load_rgb(data)[16, 16].astype(int) - RED).max() < 4


def test_broken_exif_does_not_cost_the_photo() -> None:
    data = encoded(halves(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert load_rgb(data).shape == (48, 64, 3)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(40_000, 40_000), (10_000, DEFAULT_LIMITS.pixels // 10_000 + 1)])
def test_a_huge_header_is_refused_before_decoding(width: int, height: int) -> None:
    with pytest.raises(errors.ImageTooLargeError, match=r"pixels.*resize"):
        load_rgb(png_header(width, height))


def test_a_strip_is_refused() -> None:
    with pytest.raises(errors.ImageShapeError, match=r"5000 x 3"):
        load_rgb(encoded(Image.new("RGB", (5000, 3)), "PNG"))


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        ("no/such.jpg", errors.ImageNotFoundError, r"no/such\.jpg: no such file"),
        (b"", errors.ImageDecodeError, "empty"),
        (b"GIF89a", errors.ImageDecodeError, "<6 bytes>"),
        (b"plain text", errors.ImageDecodeError, "not a picture"),
        (io.StringIO("text"), errors.ImageTypeError, "rb"),
        (3.14, errors.ImageTypeError, "float"),
        (None, errors.ImageTypeError, "NoneType"),
        ("nul\0byte.jpg", errors.ImageReadError, "cannot be read"),
        (np.zeros((4, 4, 3), np.float32), errors.ImageTypeError, "float32 array"),
        (np.zeros((4, 4, 4), np.uint8), errors.ImageTypeError, r"\[4, 4, 4\]"),
        (np.zeros((0, 4, 3), np.uint8), errors.ImageTypeError, "not empty"),
    ],
)
def test_bad_input_names_itself(source: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        load_rgb(source)  # type: ignore[arg-type]
    assert isinstance(caught.value, errors.InputError)
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_closed_file(tmp_path: Path) -> None:
    with pytest.raises(errors.ImageReadError, match="folder"):
        load_rgb(tmp_path)
    with (tmp_path / "x").open("wb+") as stream:
        pass
    with pytest.raises(errors.ImageReadError, match="closed"):
        load_rgb(stream)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_damage_anywhere_is_an_input_error_or_a_picture(kind: str) -> None:
    whole = encoded(halves((96, 96)), kind)
    rng = np.random.default_rng(1)
    outcomes = []
    for cut in np.linspace(1, len(whole) - 1, 25).astype(int):
        hurt = bytearray(whole)
        hurt[cut] ^= int(rng.integers(1, 256))
        for data in (whole[:cut], bytes(hurt)):
            try:
                pixels = load_rgb(data)
            except errors.InputError as error:
                outcomes.append(str(error).startswith(f"<{len(data):,} bytes>"))
            else:
                outcomes.append(pixels.dtype == np.uint8)
    assert all(outcomes)


@pytest.fixture(scope="module")
def large(portrait: Path) -> Image.Image:
    """Sides that no scale divides: what fills them up is at another edge for every orientation."""
    with Image.open(portrait) as image:
        return image.resize((1803, 2113), Image.Resampling.LANCZOS)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("step", [Resize(96, 64, "bicubic"), ResizeShorter(80, "bicubic")])
def test_a_scaled_photo_is_not_shifted(orientation: int, step: Resize | ResizeShorter, large: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(large, "JPEG", quality=92, exif=exif)
    decoded = decode(data, (192, 192))
    pixels, box, whole = decoded.pixels, decoded.box, load_rgb(data)
    assert box is not None
    assert sorted(pixels.shape[:2]) == [226, 265], "an eighth of the sides, rounded up"
    assert (box[2] - box[0], box[3] - box[1]) == (whole.shape[1] / 8, whole.shape[0] / 8)
    actual = preprocess(pixels, [step], box).astype(float)
    expected = preprocess(whole, [step]).astype(float)
    assert actual.shape == expected.shape
    difference = np.abs(actual - expected).mean()
    assert difference < 1.0
    assert difference <= np.abs(preprocess(pixels, [step]) - expected).mean(), "half a pixel of filling is noticed"


def test_it_is_scaled_no_further_than_allowed(large: Image.Image) -> None:
    sizes = {
        side: decode(encoded(large, "JPEG", quality=92), (side, side)).pixels.shape
        for side in (225, 226, 500, 902, 2000)
    }
    assert sizes == {
        225: (265, 226, 3),
        226: (529, 451, 3),
        500: (1057, 902, 3),
        902: (2113, 1803, 3),
        2000: (2113, 1803, 3),
    }


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "an image", "an array"])
def test_only_encoded_jpegs_are_scaled(kind: str, large: Image.Image) -> None:
    small = large.resize((601, 603))
    if kind in ("PNG", "WEBP"):
        source: ImageInput = encoded(small, kind)
    else:
        source = Image.open(io.BytesIO(encoded(small, "JPEG"))) if kind == "an image" else np.asarray(small)
    decoded = decode(source, (100, 100))
    assert (decoded.pixels.shape, decoded.box) == ((603, 601, 3), None)


def test_what_is_read_once_can_be_decoded_again_under_its_name(portrait: Path, tmp_path: Path) -> None:
    with portrait.open("rb") as stream:
        source = read_once(stream)
    np.testing.assert_array_equal(decode(source).pixels, decode(source).pixels)
    np.testing.assert_array_equal(decode(source).pixels, load_rgb(portrait))
    (tmp_path / "text.jpg").write_text("not a photo")
    with pytest.raises(errors.ImageDecodeError, match=r"text\.jpg: not a picture"):
        decode(read_once(tmp_path / "text.jpg"))
    with pytest.raises(errors.ImageNotFoundError, match=r"no\.jpg"):
        read_once("no.jpg")

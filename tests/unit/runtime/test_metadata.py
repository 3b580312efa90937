"""Orientation, profiles, what is missing of a file, and what the application set in Pillow."""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageFile

from aiface_runtime import Classifier, Verdict, errors
from aiface_runtime.images import decode, load_rgb
from aiface_runtime.prediction import PhotoWarning
from tests.corpus.bombs import chunk, encoded, png

TRUNCATED, BROKEN_EXIF = PhotoWarning.TRUNCATED, PhotoWarning.BROKEN_EXIF


@pytest.fixture(scope="module")
def photo(portrait: Path) -> Image.Image:
    with Image.open(portrait) as image:
        return image.convert("RGB").resize((403, 507), Image.Resampling.LANCZOS)


def exif(kind: int, count: int, value: bytes) -> bytes:
    """Return an EXIF block with one entry, the orientation."""
    start = b"Exif\0\0II*\0" + struct.pack("<IHHHI", 8, 1, 0x0112, kind, count)
    return start + value.ljust(4, b"\0")[:4] + bytes(4) + value


@pytest.mark.parametrize(
    "block",
    [
        exif(2, 2, b"6\0"),
        exif(5, 1, struct.pack("<I", 34) + struct.pack("<II", 67, 10)),
        exif(12, 1, struct.pack("<I", 34) + struct.pack("<d", 6.7)),
        exif(3, 1, b"\0"),
        exif(3, 1, b"\x09\0"),
        exif(9, 1, struct.pack("<i", -6)),
        exif(3, 2, struct.pack("<HH", 6, 6)),
        exif(3, 1, b"\6\0")[:20],
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0XX",
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_that_is_no_integer_from_1_to_8_leaves_the_photo_as_it_is(
    block: bytes, kind: str, photo: Image.Image
) -> None:
    large = photo.resize((1612, 2028))
    decoded, plain = (decode(encoded(large, kind, **options), (448, 448)) for options in ({"exif": block}, {}))
    np.testing.assert_array_equal(decoded.pixels, plain.pixels)
    assert decoded.box == plain.box
    assert decoded.warnings == (BROKEN_EXIF,)
    assert plain.warnings == ()


@pytest.mark.parametrize("kind", [1, 3, 4])
def test_every_type_of_integer_turns_the_photo(kind: int, photo: Image.Image) -> None:
    decoded = decode(encoded(photo, "PNG", exif=exif(kind, 1, b"\6\0")))
    np.testing.assert_array_equal(decoded.pixels, np.rot90(np.asarray(photo), -1))
    assert decoded.full_size == (507, 403)


def test_orientation_in_xmp_and_in_imagemagick_s_text(photo: Image.Image) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for kind in ("JPEG", "WEBP"):
        turned = load_rgb(encoded(photo, kind, xmp=xmp))
        assert turned.shape == (403, 507, 3)
    whole = encoded(photo, "PNG")
    block = exif(3, 1, b"\6\0").hex().encode()
    raw = chunk(b"tEXt", b"Raw profile type exif\0\nexif\n%d\n" % len(block) + block)
    assert load_rgb(whole[:33] + raw + whole[33:]).shape == (403, 507, 3)


@pytest.mark.parametrize("scale", [None, (200, 200), (100, 100)])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"subsampling": 0}, {"quality": 100}])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.95])
def test_what_is_missing_of_a_jpeg_with_an_end_marker(
    scale: tuple[int, int] | None, options: dict[str, int], share: float, photo: Image.Image
) -> None:
    whole = encoded(photo, "JPEG", **options)
    start = whole.index(b"\xff\xda")
    cut = whole[: start + int(share * (len(whole) - start))]
    decoded = decode(cut + b"\xff\xd9", scale)
    assert decoded.warnings == (TRUNCATED,)
    rows = np.asarray(photo).std(axis=(1, 2)) > 0
    assert rows.all(), "no row of the photo itself is flat"
    grey = (decoded.pixels == 128).all(axis=(1, 2)).mean()
    assert abs(decoded.missing - grey) < 0.1
    with pytest.raises(errors.ImageDecodeError, match="cut short"):
        decode(cut, scale)
    with pytest.raises(errors.ImageDecodeError, match="cut short"):
        decode(cut + bytes(len(whole)), scale)  # preallocated, and never written


@pytest.mark.parametrize("share", [0.1, 0.4, 0.5])
def test_a_progressive_jpeg_without_its_last_scans(share: float, photo: Image.Image) -> None:
    whole = encoded(photo, "JPEG", progressive=True, quality=90)
    cut = whole[: int(share * len(whole))]
    decoded = decode(cut + b"\xff\xd9")
    assert decoded.warnings == (TRUNCATED,)
    assert decoded.missing > 0.0
    with pytest.raises(errors.ImageDecodeError, match="cut short"):
        decode(cut)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpeg_that_lacks_its_end_marker_alone_is_whole(options: dict[str, bool], photo: Image.Image) -> None:
    whole = encoded(photo, "JPEG", **options)
    assert whole.endswith(b"\xff\xd9")
    for data in (whole[:-2], whole[:-1], whole + bytes(1000), whole + b"trailing"):
        decoded = decode(data)
        np.testing.assert_array_equal(decoded.pixels, load_rgb(whole))
        assert (decoded.warnings, decoded.missing) == ((), 0.0)


@pytest.mark.parametrize("colour", [(128, 128, 128), (0, 0, 0), (255, 255, 255)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_whole_jpeg_that_ends_in_one_colour_is_not_truncated(
    colour: tuple[int, int, int], mode: str, photo: Image.Image
) -> None:
    framed = photo.copy()
    framed.paste(colour, (0, 300, 403, 507))
    for image in (framed, Image.new("RGB", (403, 507), colour)):
        for scale in (None, (100, 100)):
            decoded = decode(encoded(image.convert(mode), "JPEG", quality=95), scale)
            assert (decoded.warnings, decoded.missing) == ((), 0.0)


def test_a_png_is_whole_whatever_its_ancillary_chunks_are(photo: Image.Image) -> None:
    whole = encoded(photo, "PNG")
    broken = bytearray(chunk(b"tEXt", b"Comment\0hello"))
    broken[-1] ^= 1
    long_text = chunk(b"zTXt", b"prompt\0\0" + zlib.compress(bytes(5 * 2**20)))
    long_profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(5 * 2**20)))
    for extra in (bytes(broken), long_text, long_profile, chunk(b"iCCP", b"p\0\0junk"), chunk(b"eXIf", b"")):
        np.testing.assert_array_equal(load_rgb(whole[:33] + extra + whole[33:]), np.asarray(photo))
    np.testing.assert_array_equal(load_rgb(whole[:-12]), np.asarray(photo))
    header = bytearray(whole)
    header[29] ^= 1
    with pytest.raises(errors.ImageDecodeError, match="checksum of IHDR"):
        load_rgb(bytes(header))
    with pytest.raises(errors.ImageDecodeError, match="cut short"):
        load_rgb(whole[: len(whole) // 2])


def test_png_data_that_end_properly_but_too_early(photo: Image.Image) -> None:
    """200 rows of the photo, and a header that says more: other programs show what there is."""
    black = Image.new("RGB", photo.size)
    for image in (photo, photo.convert("L"), photo.convert("RGBA"), photo.quantize(16)):
        few, whole = encoded(image.crop((0, 0, 403, 200)), "PNG"), encoded(image, "PNG")
        short = whole[:33] + few[33:]
        decoded = decode(short)
        assert decoded.warnings == (TRUNCATED,)
        assert decoded.missing == pytest.approx(307 / 507, abs=0.01)
        np.testing.assert_array_equal(decoded.pixels[:200], load_rgb(image)[:200])
    for whole in (encoded(black, "PNG"), png(403, 507, 8, 2, interlace=1), png(403, 507, 1, 0), png(7, 3, 16, 6)):
        assert decode(whole).missing == 0.0
    interlaced = png(403, 507, 8, 2, interlace=1)
    assert decode(interlaced[:33] + png(403, 200, 8, 2)[33:]).missing == pytest.approx(307 / 507, abs=0.01)
    with Classifier(device="cpu") as classifier:
        assert classifier.predict(short).verdict is Verdict.UNCERTAIN


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_what_is_missing_of_the_jpegs_in_a_tiff(end: bytes, photo: Image.Image) -> None:
    whole = encoded(photo, "TIFF", compression="jpeg")
    assert decode(whole).warnings == ()
    with Image.open(io.BytesIO(whole)) as image:
        strips = list(zip(image.tag_v2[273], image.tag_v2[279], strict=True))  # type: ignore[attr-defined]
    cut = bytearray(whole)
    for start, length in strips[len(strips) // 2 :]:
        kept = length // 20
        cut[start + kept : start + length] = end.ljust(length - kept, b"\0")
    decoded = decode(bytes(cut))
    assert decoded.warnings == (TRUNCATED,)
    assert decoded.missing == pytest.approx(0.5, abs=0.1)


def test_heic_is_decoded_with_its_extra_and_named_without(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(photo).save(buffer, quality=95)
    decoded = decode(buffer.getvalue())
    assert np.abs(decoded.pixels.astype(int) - np.asarray(photo)).mean() < 5
    with pytest.raises(errors.ImageDecodeError):
        decode(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(errors.ImageDecodeError, match=r"HEIC needs its extra: pip install \"aiface\[heic\]\""):
        decode(buffer.getvalue())


def test_a_scale_or_a_frame_that_the_application_chose_is_kept(photo: Image.Image) -> None:
    lazy = Image.open(io.BytesIO(encoded(photo.resize((1612, 2028)), "JPEG")))
    lazy.draft("L", (400, 500))
    assert load_rgb(lazy).shape == (507, 403, 3)
    frames = Image.open(io.BytesIO(encoded(photo, "TIFF", save_all=True, append_images=[photo.rotate(180)])))
    frames.seek(1)
    np.testing.assert_array_equal(load_rgb(frames), np.asarray(photo.rotate(180)))


def test_numpy_s_settings_change_nothing() -> None:
    samples = np.full((64, 64), np.nan, np.float32)
    samples[:, :32] = np.linspace(1e-40, 1, 32)
    data = encoded(Image.fromarray(samples), "TIFF")
    expected = load_rgb(data)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(load_rgb(data), expected)


def test_a_transparent_grey_of_16_bits(photo: Image.Image) -> None:
    grey = np.asarray(photo.convert("L"))
    data = [
        encoded(Image.fromarray(grey), "PNG", transparency=int(grey[0, 0])),
        encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG", transparency=int(grey[0, 0]) * 257),
    ]
    np.testing.assert_array_equal(load_rgb(data[1]), load_rgb(data[0]))
    assert (load_rgb(data[1])[grey == grey[0, 0]] == 255).all()


def test_wide_profiles_are_warned_of(photo: Image.Image) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    wide = bytearray(srgb)
    at = srgb.index(b"gXYZ") + 4
    offset = int.from_bytes(srgb[at : at + 4], "big") + 8
    wide[offset : offset + 12] = struct.pack(">3i", *(round(65536 * value) for value in (0.2052, 0.6257, 0.0609)))
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        assert decode(encoded(photo, kind, icc_profile=bytes(wide))).warnings == (PhotoWarning.WIDE_GAMUT,)
        assert decode(encoded(photo, kind, icc_profile=srgb)).warnings == ()
        assert decode(encoded(photo, kind, icc_profile=b"junk" * 50)).warnings == ()
    lazy = Image.open(io.BytesIO(encoded(photo, "JPEG", icc_profile=bytes(wide))))
    assert decode(lazy).warnings == (PhotoWarning.WIDE_GAMUT,)


def test_an_mpo_is_its_first_picture_and_is_decoded_smaller(photo: Image.Image) -> None:
    frames = [photo.resize((1612, 2028)), Image.new("RGB", (1612, 2028))]
    mpo, first = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]), encoded(frames[0], "JPEG")
    np.testing.assert_array_equal(decode(mpo, (448, 448)).pixels, decode(first, (448, 448)).pixels)
    assert decode(mpo, (448, 448)).pixels.shape == (1014, 806, 3)


@pytest.fixture(params=["truncated", "tiny limit", "no limit"])
def host_setting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set in Pillow what an application may have set, and see that it stays."""
    settings = {"truncated": (ImageFile, "LOAD_TRUNCATED_IMAGES", True)}
    settings["tiny limit"] = (Image, "MAX_IMAGE_PIXELS", 10)
    settings["no limit"] = (Image, "MAX_IMAGE_PIXELS", None)
    module, name, value = settings[request.param]
    monkeypatch.setattr(module, name, value)
    filters = list(warnings.filters)
    yield
    assert getattr(module, name) == value
    assert warnings.filters == filters


@pytest.mark.usefixtures("host_setting")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM"])
def test_what_the_application_set_in_pillow_changes_nothing(kind: str, photo: Image.Image) -> None:
    whole = encoded(photo, kind)
    assert decode(whole).pixels.shape == (507, 403, 3)
    with pytest.raises(errors.ImageDecodeError):
        decode(whole[: len(whole) // 2])


@pytest.mark.usefixtures("host_setting")
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_damaged_data_stay_damaged(kind: str, photo: Image.Image) -> None:
    whole = bytearray(encoded(photo, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {})))
    middle = len(whole) // 2
    whole[middle : middle + 64] = bytes(64)
    with pytest.raises(errors.ImageDecodeError):
        decode(bytes(whole))

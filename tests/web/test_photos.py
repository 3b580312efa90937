"""In Chromium the package answers for a photo what the Python runtime answers."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import AifaceError, Classifier
from tests.web.conftest import predict

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SAME_FILE, SAME_PIXELS = 0.02, 0.005  # largest differences of P(AI)
ROUNDING = 1e-4  # of float32, between two processors' programs
NO_WEBCODECS = "delete globalThis.ImageDecoder; delete globalThis.VideoFrame;"


@pytest.fixture(scope="session")
def photos(shared_data: Path) -> list[Path]:
    paths = sorted(path for path in shared_data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    return random.Random(19).sample(paths, 100)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def python_record(classifier: Classifier, data: bytes) -> dict[str, Any]:
    try:
        return dict(classifier.predict(data).to_record())
    except AifaceError as error:
        return {"error": {"code": error.code, "message": str(error)}}


def assert_same(answer: dict[str, Any], expected: dict[str, Any], tolerance: float) -> None:
    """Hold a record to another, but for what runs it."""
    assert answer.get("error") is None, answer
    assert abs(answer["p_ai"] - expected["p_ai"]) <= tolerance
    assert abs(answer["face_probability"] - expected["face_probability"]) <= tolerance
    assert answer["scores"].keys() == expected["scores"].keys()
    assert answer["warnings"] == expected["warnings"]
    assert (answer["input"], answer["model"]) == (expected["input"], expected["model"])
    assert list(answer) == list(expected)


def largest_difference(page: Page, classifier: Classifier, files: list[bytes]) -> float:
    differences = []
    for data in files:
        answer, expected = predict(page, data), python_record(classifier, data)
        assert_same(answer, expected, 1.0)
        differences.append(abs(answer["p_ai"] - expected["p_ai"]))
    return max(differences)


@pytest.mark.slow
def test_a_hundred_photos_as_their_files(page: Page, classifier: Classifier, photos: list[Path]) -> None:
    assert largest_difference(page, classifier, [path.read_bytes() for path in photos]) <= SAME_FILE


@pytest.mark.slow
def test_a_hundred_photos_as_png(page: Page, classifier: Classifier, photos: list[Path]) -> None:
    files = []
    for path in photos:
        with Image.open(path) as image:
            files.append(encoded(image.convert("RGB"), "PNG", compress_level=1))
    assert largest_difference(page, classifier, files) <= SAME_PIXELS


@pytest.fixture(scope="session")
def face(portrait: Path) -> Image.Image:
    with Image.open(portrait) as image:
        return image.convert("RGB")


def orientation(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif


def transparent(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def deep_grey(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257 + 13)


Maker = Callable[[Image.Image], bytes]
# At full size the pixels are the same to the bit, transparent ones to a level.
EXACT: dict[str, Maker] = {
    "jpeg 4:2:0": lambda face: encoded(face, "JPEG", subsampling=2),
    "jpeg 4:2:2": lambda face: encoded(face, "JPEG", subsampling=1),
    "jpeg 4:4:4": lambda face: encoded(face, "JPEG", subsampling=0),
    "jpeg odd": lambda face: encoded(face.crop((1, 2, 302, 391)), "JPEG", subsampling=2),
    "jpeg small": lambda face: encoded(face.resize((3, 5)), "JPEG", subsampling=2),
    "jpeg progressive": lambda face: encoded(face, "JPEG", progressive=True),
    "jpeg grey": lambda face: encoded(face.convert("L"), "JPEG"),
    "jpeg cmyk": lambda face: encoded(face.convert("CMYK"), "JPEG"),
    "jpeg without its end": lambda face: encoded(face, "JPEG")[:-2],
    "jpeg profile": lambda face: encoded(face, "JPEG", icc_profile=wide_profile()),
    "png profile": lambda face: encoded(face, "PNG", icc_profile=wide_profile()),
    "png rgba": lambda face: encoded(transparent(face), "PNG"),
    "png palette": lambda face: encoded(face.quantize(64), "PNG"),
    "png grey and alpha": lambda face: encoded(transparent(face).convert("LA"), "PNG"),
    "png 16 bits": lambda face: encoded(deep_grey(face), "PNG"),
    "png one bit": lambda face: encoded(face.convert("1"), "PNG"),
    "png animated": lambda face: encoded(face, "PNG", save_all=True, append_images=[face.rotate(180)]),
    "png tiny": lambda face: encoded(face.resize((40, 50)), "PNG"),
    "webp": lambda face: encoded(face, "WEBP", quality=80),
    "webp rgba": lambda face: encoded(transparent(face), "WEBP", lossless=True),
    "webp animated": lambda face: encoded(face, "WEBP", save_all=True, append_images=[face.rotate(180)]),
    "gif": lambda face: encoded(face.quantize(64), "GIF"),
    "gif animated": lambda face: encoded(face, "GIF", save_all=True, append_images=[face.rotate(180)]),
    "bmp": lambda face: encoded(face, "BMP"),
    **{
        f"{kind} turned {turn}": lambda face, kind=kind, turn=turn: encoded(  # type: ignore[misc]
            face.crop((0, 0, 320, 400)), kind, exif=orientation(turn)
        )
        for kind in ("JPEG", "PNG", "WEBP")
        for turn in range(2, 9)
    },
}


def wide_profile() -> bytes:
    """Return an ICC profile with the primaries of ProPhoto, and nothing else in it."""
    names = (b"rXYZ", (0.7977, 0.2880, 0.0)), (b"gXYZ", (0.1352, 0.7119, 0.0)), (b"bXYZ", (0.0313, 0.0001, 0.8249))
    entries, values = b"", b""
    for index, (name, xyz) in enumerate(names):
        entries += name + (168 + 20 * index).to_bytes(4, "big") + (20).to_bytes(4, "big")
        values += b"XYZ " + bytes(4) + b"".join(round(value * 65536).to_bytes(4, "big") for value in xyz)
    return bytes(128) + (3).to_bytes(4, "big") + entries + values


@pytest.mark.parametrize("name", EXACT)
def test_every_sort_of_file(page: Page, classifier: Classifier, face: Image.Image, name: str) -> None:
    data = EXACT[name](face)
    assert_same(predict(page, data), python_record(classifier, data), ROUNDING)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(901, 1100), (1803, 1999), (3601, 3700)])
def test_a_large_jpeg_is_reduced_as_in_python(
    page: Page, classifier: Classifier, face: Image.Image, size: tuple[int, int], subsampling: int
) -> None:
    """There libjpeg decodes at a half, a quarter or an eighth of the size; here planes are averaged."""
    large = face.resize(size, Image.Resampling.BILINEAR)
    for turn in (1, 7):
        data = encoded(large, "JPEG", quality=85, subsampling=subsampling, exif=orientation(turn))
        assert_same(predict(page, data), python_record(classifier, data), SAME_PIXELS)


def test_avif_is_near(page: Page, classifier: Classifier, face: Image.Image) -> None:
    data = encoded(face, "AVIF", quality=80)
    assert_same(predict(page, data), python_record(classifier, data), SAME_PIXELS)


REFUSED: dict[str, tuple[str, Maker]] = {
    "text": ("not_an_image", lambda face: b"not a picture"),
    "nothing": ("not_an_image", lambda face: b""),
    "half a jpeg": ("not_an_image", lambda face: encoded(face, "JPEG")[:9000]),
    "half a png": ("not_an_image", lambda face: encoded(face, "PNG")[:9000]),
    "a strip": ("bad_shape", lambda face: encoded(face.resize((700, 20)), "PNG")),
    "too many pixels": ("too_large", lambda face: encoded(Image.new("L", (6000, 5001)), "PNG")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_python_refuses_is_refused(page: Page, classifier: Classifier, face: Image.Image, name: str) -> None:
    code, make = REFUSED[name]
    answer = predict(page, make(face))
    assert answer["error"]["code"] == code == python_record(classifier, make(face))["error"]["code"]
    assert "bytes>: " in answer["error"]["message"]


@pytest.mark.parametrize("kind", ["TIFF", "JPEG2000", "PPM"])
def test_what_the_browser_cannot_decode_is_one_clear_error(page: Page, face: Image.Image, kind: str) -> None:
    error = predict(page, encoded(face.crop((0, 0, 64, 64)), kind))["error"]
    assert error["code"] == "not_an_image"
    assert error["message"].endswith("convert it to JPEG, PNG or WebP")


@pytest.mark.parametrize("share", [0.5, 0.97])
@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 5}, {"subsampling": 0}, {"optimize": True}], ids=str)
def test_missing_rows_are_warned_of(
    page: Page, classifier: Classifier, face: Image.Image, share: float, options: dict[str, Any]
) -> None:
    for image in (face, face.convert("L")):
        whole = encoded(image, "JPEG", quality=90, **options)
        data = whole[: int(share * len(whole))] + b"\xff\xd9"
        answer, expected = predict(page, data), python_record(classifier, data)
        assert "truncated" in expected["warnings"]
        assert (answer["warnings"], answer["verdict"]) == (expected["warnings"], expected["verdict"])


def test_missing_scans_are_warned_of(page: Page, classifier: Classifier, face: Image.Image) -> None:
    whole = encoded(face, "JPEG", progressive=True)
    data = whole[: len(whole) // 2] + b"\xff\xd9"
    answer, expected = predict(page, data), python_record(classifier, data)
    assert "truncated" in expected["warnings"]
    assert (answer["warnings"], answer["verdict"]) == (expected["warnings"], expected["verdict"])


@pytest.mark.parametrize("block", [b"II*\0", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x63\0\0"])
def test_broken_exif_is_warned_of(page: Page, classifier: Classifier, face: Image.Image, block: bytes) -> None:
    data = encoded(face, "JPEG", exif=b"Exif\0\0" + block)
    answer = predict(page, data)
    assert "broken_exif" in answer["warnings"]
    assert_same(answer, python_record(classifier, data), ROUNDING)


def test_without_webcodecs_a_canvas_decodes(
    open_package: Callable[..., Page], classifier: Classifier, face: Image.Image
) -> None:
    page = open_package(before=NO_WEBCODECS)
    for name in ("jpeg 4:2:0", "png rgba", "webp", "JPEG turned 6", "jpeg profile"):
        data = EXACT[name](face)
        answer = predict(page, data)
        assert_same(answer, python_record(classifier, data), SAME_PIXELS)
        assert "a canvas decoded the photo" in answer["fallback"]
    page.close()


def test_without_isolation_there_is_one_thread(
    open_package: Callable[..., Page], classifier: Classifier, face: Image.Image
) -> None:
    page = open_package({"threads": 2}, isolated=False)
    assert page.evaluate("[crossOriginIsolated, classifier.threads]") == [False, 1]
    data = encoded(face, "JPEG")
    assert_same(predict(page, data), python_record(classifier, data), ROUNDING)
    page.close()


def test_with_isolation_there_are_threads(open_package: Callable[..., Page]) -> None:
    page = open_package({"threads": 2})
    assert page.evaluate("[crossOriginIsolated, classifier.threads]") == [True, 2]
    page.close()


def test_no_webgpu_is_said(page: Page, face: Image.Image) -> None:
    answer = predict(page, encoded(face, "JPEG"))
    assert answer["device"] == "wasm"
    assert answer["fallback"].startswith("webgpu: ")


OTHER_INPUTS = """async (text) => {
  const blob = new Blob([bytes(text)], { type: "image/png" });
  const bitmap = await createImageBitmap(blob);
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const data = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const inputs = [blob, new File([blob], "face.png"), await blob.arrayBuffer(), bitmap, data];
  return Promise.all(inputs.map((input) => classifier.predict(input)));
}"""


def test_every_sort_of_input_gives_the_same_answer(page: Page, classifier: Classifier, face: Image.Image) -> None:
    data = encoded(face, "PNG")
    answers = page.evaluate(OTHER_INPUTS, base64.b64encode(data).decode())
    expected = python_record(classifier, data)["p_ai"]
    assert [abs(answer["p_ai"] - expected) <= ROUNDING for answer in answers] == [True] * 5
    assert answers[1]["input"] == "face.png"


def test_other_inputs_are_one_clear_error(page: Page) -> None:
    answer = page.evaluate("attempt(() => classifier.predict('face.png'))")
    assert answer["error"]["code"] == "wrong_type"
    assert "pass one of those" in answer["error"]["message"]


def test_the_map_is_pythons(page: Page, classifier: Classifier, face: Image.Image) -> None:
    data = encoded(face, "PNG")
    explanation, expected = predict(page, data, "explain"), classifier.explain(data)
    assert np.abs(np.array(explanation["evidence"]) - expected.evidence).max() <= 1e-3
    assert explanation["bias"] == expected.bias
    assert explanation["region"] == list(expected.region)
    assert explanation["size"] == list(face.size)


@pytest.fixture(scope="session")
def with_webgpu(chromium: Browser, chromium_path: str) -> Iterator[Browser]:
    """A Chromium whose WebGPU is computed by software."""
    flags = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
    browser = chromium.browser_type.launch(
        executable_path=chromium_path, args=["--no-sandbox", "--use-vulkan=swiftshader", *flags]
    )
    yield browser
    browser.close()


@pytest.mark.slow
def test_webgpu_answers_the_same(
    open_package: Callable[..., Page], with_webgpu: Browser, classifier: Classifier, face: Image.Image
) -> None:
    page = open_package({"device": "webgpu"}, browser=with_webgpu)
    data = encoded(face, "PNG")
    answer = predict(page, data)
    assert (answer["device"], answer["fallback"]) == ("webgpu", None)
    assert_same(answer, python_record(classifier, data), SAME_PIXELS)
    page.close()


def test_software_webgpu_is_passed_over(open_package: Callable[..., Page], with_webgpu: Browser) -> None:
    page = open_package(browser=with_webgpu)
    assert page.evaluate("[classifier.device, classifier.fallback]") == ["wasm", "webgpu: its adapter is software"]
    page.close()


def test_webgpu_by_name_is_an_error_without(page: Page) -> None:
    load = "import('aiface-web').then(({ Classifier }) => Classifier.load('/model.onnx', { device: 'webgpu' }))"
    error = page.evaluate(f"attempt(() => {load})")["error"]
    assert error["code"] == "device_unavailable"


def test_missing_wasm_files_are_one_clear_error(open_package: Callable[..., Page]) -> None:
    with pytest.raises(Exception, match=r"device 'wasm' cannot be had: .*WASM files are served"):
        open_package({"device": "wasm", "wasmPaths": "/nowhere/"})

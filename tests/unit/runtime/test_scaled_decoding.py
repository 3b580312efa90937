"""Large JPEGs are decoded at a reduced scale where the model allows it: quickly, and to nearly the same answer."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import Classifier
from aiface_runtime.images import load_rgb, load_scaled
from aiface_runtime.manifest import Resize, ResizeShorter
from aiface_runtime.preprocess import preprocess

ORIENTATION = 0x0112


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def large(portrait: Path) -> Image.Image:
    """Sides that no scale divides: what fills them up is at another edge for every orientation."""
    with Image.open(portrait) as image:
        return image.resize((1803, 2113), Image.Resampling.LANCZOS)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("step", [Resize(96, 64, "bicubic"), ResizeShorter(80, "bicubic")])
def test_the_photo_stays_in_its_place(orientation: int, step: Resize | ResizeShorter, large: Image.Image) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = jpeg(large, exif=exif)
    pixels, box = load_scaled(data, (192, 192))
    whole = load_rgb(data)
    assert box is not None
    assert sorted(pixels.shape[:2]) == [226, 265], "an eighth of the sides, rounded up"
    assert (box[2] - box[0], box[3] - box[1]) == (whole.shape[1] / 8, whole.shape[0] / 8)
    found = preprocess(pixels, [step], box).astype(float)
    expected = preprocess(whole, [step]).astype(float)
    assert found.shape == expected.shape
    difference = np.abs(found - expected).mean()
    assert difference < 1.0
    assert difference <= np.abs(preprocess(pixels, [step]) - expected).mean(), "half a pixel of filling is noticed"


def test_it_is_scaled_no_further_than_allowed(large: Image.Image) -> None:
    sizes = {least: load_scaled(jpeg(large), (least, least))[0].shape for least in (225, 226, 500, 902, 2000)}
    assert sizes == {
        225: (265, 226, 3),
        226: (529, 451, 3),
        500: (1057, 902, 3),
        902: (2113, 1803, 3),
        2000: (2113, 1803, 3),
    }


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "an image", "an array"])
def test_only_encoded_jpegs_are_scaled(kind: str, large: Image.Image) -> None:
    buffer = io.BytesIO()
    small = large.resize((601, 603))
    if kind in ("PNG", "WEBP"):
        small.save(buffer, kind)
    source = {"an image": Image.open(io.BytesIO(jpeg(small))), "an array": np.asarray(small)}.get(
        kind, buffer.getvalue()
    )
    pixels, box = load_scaled(source, (100, 100))
    assert (pixels.shape, box) == ((603, 601, 3), None)


def test_answers_hardly_move(portrait: Path, shared_data: Path) -> None:
    """The model's own limit: colours rounded to whole levels once more move its answers as much."""
    files = [portrait, *sorted((shared_data / "val").glob("*/*.jpg"))[::31]]
    moved = []
    with Classifier(device="cpu") as classifier:
        assert classifier.manifest.scaled_decoding == 2.0
        for number, file in enumerate(files):
            width = (1024, 1333, 2048)[number % 3]
            with Image.open(file) as image:
                height = round(width * image.height / image.width)
                data = jpeg(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
            moved.append(abs(classifier.predict(data).p_ai - classifier.predict(load_rgb(data)).p_ai))
    assert 0 < np.mean(moved) <= 0.01
    assert np.mean(np.array(moved) <= 0.01) >= 0.9
    assert max(moved) <= 0.05

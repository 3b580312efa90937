"""Photos reach the model's input as the manifest says, and OpenCV's resize needs no OpenCV."""

from __future__ import annotations

import numpy as np
import pytest

from aiface_runtime.preprocess import preprocess, visible_box
from aiface_runtime.steps import CenterCrop, CenterCropToEven, Resize, ResizeShorter, Step

SIZES = [(1, 1), (1, 9), (7, 3), (31, 400), (100, 100), (224, 224), (225, 223), (448, 448), (500, 333), (1200, 1601)]


@pytest.mark.parametrize("out", [(224, 224), (64, 96), (1, 5), (700, 300)])
@pytest.mark.parametrize("size", SIZES)
def test_bilinear_without_antialias_is_opencvs(size: tuple[int, int], out: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is not installed: nothing to compare with")
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    actual = preprocess(pixels, [Resize(*out, "bilinear_no_antialias")])
    expected = cv2.resize(pixels, out[::-1], interpolation=cv2.INTER_LINEAR)
    assert actual.dtype == np.uint8
    assert np.abs(actual.astype(int) - expected).max() <= 1
    assert (actual != expected).mean() < 0.005, "a network answers otherwise where every eighth pixel is one level off"


def test_bilinear_without_antialias_keeps_a_photo_that_fits() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(preprocess(pixels, [Resize(48, 64, "bilinear_no_antialias")]), pixels)


def test_bilinear_without_antialias_also_scales_the_shorter_side() -> None:
    pixels = np.full((100, 300, 3), (10, 20, 30), dtype=np.uint8)
    cut = preprocess(pixels, [ResizeShorter(50, "bilinear_no_antialias"), CenterCrop(50, 40)])
    np.testing.assert_array_equal(cut, np.full((50, 40, 3), (10, 20, 30)))


@pytest.mark.parametrize(
    "steps",
    [
        (Resize(64, 64, "bicubic"),),
        (ResizeShorter(80, "bicubic"), CenterCrop(64, 48)),
        (ResizeShorter(81, "bicubic"), CenterCropToEven(64, 64)),
        (Resize(100, 90, "bilinear"), CenterCrop(64, 64), Resize(32, 32, "bilinear")),
    ],
)
@pytest.mark.parametrize("size", [(640, 480), (333, 500), (50, 50)])
def test_the_visible_box_is_what_the_model_is_shown(size: tuple[int, int], steps: tuple[Step, ...]) -> None:
    """Ramps say where each pixel came from."""
    across, down = np.meshgrid(np.linspace(0, 250, size[0]), np.linspace(0, 250, size[1]))
    photo = np.stack([across, down, np.zeros_like(across)], axis=2).astype(np.uint8)
    seen = preprocess(photo, steps).astype(float)
    region = np.array(visible_box(size, steps)) / [*size, *size] * 250
    assert seen[:, 0, 0].mean() == pytest.approx(region[0], abs=6)
    assert seen[0, :, 1].mean() == pytest.approx(region[1], abs=6)
    assert seen[:, -1, 0].mean() == pytest.approx(region[2], abs=6)
    assert seen[-1, :, 1].mean() == pytest.approx(region[3], abs=6)

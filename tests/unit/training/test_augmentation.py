"""What an example goes through before the network sees it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from aiface_training.data.augmentation import Augmentation
from tests.support import paint


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [paint(rng, int(width), int(height), ai=False) for width, height in rng.integers(80, 160, (8, 2))]


def test_it_makes_one_size_and_repeats_with_its_seed(photos: list[Image.Image]) -> None:
    augmentation = Augmentation(size=64)
    for photo in photos:
        first, repeated, other = (augmentation(photo, np.random.default_rng(seed)) for seed in (1, 1, 2))
        weak = augmentation(photo, np.random.default_rng(1), weak=True)
        assert {image.size for image in (first, repeated, other, weak)} == {(64, 64)}
        assert first.tobytes() == repeated.tobytes()
        assert first.tobytes() != other.tobytes()


def test_weak_keeps_more_of_a_photo_than_strong() -> None:
    """Fine detail, which a decoder's traces are made of, always survives a weak augmentation to some degree."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8))
    augmentation = Augmentation(size=128, colour_jitter=0.0)

    def detail(weak: bool) -> float:
        images = [augmentation(noise, np.random.default_rng(seed), weak=weak) for seed in range(40)]
        return min(float(np.abs(np.diff(np.asarray(image, dtype=float), axis=0)).mean()) for image in images)

    assert detail(weak=True) > 1.5 * detail(weak=False)


def test_colours_are_transferred_from_another_photo() -> None:
    rng = np.random.default_rng(0)
    grey = Image.fromarray(rng.integers(100, 156, (64, 64, 3), dtype=np.uint8))
    red = Image.fromarray((rng.integers(100, 156, (64, 64, 3)) * [1.6, 0.4, 0.4]).astype(np.uint8))
    augmentation = Augmentation(size=64, colour_jitter=0.0, recompression=0.0, colour_transfer=1.0)
    plain = np.asarray(augmentation(grey, np.random.default_rng(1), weak=True), dtype=float).mean((0, 1))
    moved = np.asarray(augmentation(grey, np.random.default_rng(1), weak=True, other=red), dtype=float).mean((0, 1))
    assert moved[0] - moved[1] > plain[0] - plain[1] + 20


def test_larger_photos_are_brought_to_one_range_of_sizes() -> None:
    """A fine pattern cannot survive when a photo is first shrunk below it."""
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    contrast = {}
    for limits in (None, (40, 48)):
        augmentation = Augmentation(size=256, resize_range=limits, colour_jitter=0.0, recompression=0.0)
        images = (augmentation(Image.fromarray(stripes), np.random.default_rng(seed), weak=True) for seed in range(10))
        contrast[limits] = float(np.mean([np.asarray(image, dtype=float).std() for image in images]))
    assert contrast[None] > 3 * contrast[40, 48]

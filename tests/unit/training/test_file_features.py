"""What can be known of a photo's file, from its bytes or from the traces that it left in the pixels."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_training.shortcuts.file_features import (
    encoded,
    encoded_features,
    file_features,
    grid_traces,
    spectrum_traces,
)


@pytest.fixture
def photo(portrait: Path) -> Image.Image:
    with Image.open(portrait) as image:
        return image.convert("RGB").crop((100, 50, 324, 274))


def test_features_of_a_file(photo: Image.Image) -> None:
    data = encoded(photo, 50, 2)
    features = file_features(data)
    assert features[:5].tolist() == [len(data), len(data) / 224**2, 224, 224, 1]
    assert features[5] == pytest.approx(57.625), (
        "the mean of the standard's luminance table, which is that of quality 50"
    )
    assert features[7:].tolist() == [2, 0, 0]
    other = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "maker"
    photo.save(other, "JPEG", quality=90, progressive=True, subsampling=0, exif=exif)
    assert file_features(other.getvalue())[7:].tolist() == [0, 1, 1]
    plain = io.BytesIO()
    photo.save(plain, "PNG")
    assert math.isnan(file_features(plain.getvalue())[5])
    assert file_features(plain.getvalue())[7] == -1


def test_traces_of_a_file_show_in_pixels(photo: Image.Image) -> None:
    poor = Image.open(io.BytesIO(encoded(photo, 20, 2))).convert("RGB")
    assert grid_traces(poor)[0] > 1.2 * grid_traces(photo)[0]
    assert grid_traces(poor)[1] == 7, "blocks meet between the eighth column and the ninth"
    coarse = Image.open(io.BytesIO(encoded(photo, 5, 2))).convert("RGB")
    resized, plain = (image.resize((400, 400), Image.Resampling.BICUBIC) for image in (coarse, photo))
    assert grid_traces(resized)[2] > 1.5 * grid_traces(plain)[2], "a grid of 14.3 px"
    blurred = photo.resize((112, 112), Image.Resampling.BOX).resize(photo.size, Image.Resampling.BICUBIC)
    assert spectrum_traces(blurred)[7] < spectrum_traces(photo)[7] - 1
    assert encoded_features(blurred)[2] < encoded_features(photo)[2]
    flat = Image.new("RGB", (64, 64), (10, 20, 30))
    assert np.isfinite(np.concatenate([grid_traces(flat), spectrum_traces(flat)])).all()

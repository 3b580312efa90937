"""Mosaics of photos, as a face head learns from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from aiface_training.faces.pictures import Mosaics, Picture

pytestmark = pytest.mark.torch
SIZE, GRID = 224, 7


def test_cells_are_covered_where_faces_lie(tmp_path: Path) -> None:
    """A face is white, all else black: the share of a cell that is covered is how bright it is."""
    photo = Image.new("RGB", (160, 120))
    photo.paste((255, 255, 255), (50, 30, 110, 100))
    photo.save(tmp_path / "photo.png")
    picture = Picture(tmp_path / "photo.png", np.array([[50.0, 30.0, 110.0, 100.0]]))
    faces = set()
    for pixels, covered in (Mosaics([picture], 8, SIZE, GRID)[index] for index in range(8)):
        brightness = pixels.reshape(GRID, SIZE // GRID, GRID, SIZE // GRID, 3).mean(axis=(1, 3, 4)) / 255
        middles = covered == 1.0  # a face's middle counts as covered
        several = brightness > covered + 0.05  # a cell of two faces, of which the larger share counts
        assert np.abs(brightness - covered)[~middles & ~several].max() < 0.05
        faces.add(round(brightness.sum() / (49 * 60 * 70 / 120**2), 1))
        assert middles.sum() in (4, 9)
    assert faces == {1.0}, "as large as in the photo, in total"

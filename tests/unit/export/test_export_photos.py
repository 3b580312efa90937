"""Which photos an export holds out and which it calibrates on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from aiface_evaluation.errors import DataError
from aiface_export.errors import SourceError
from aiface_export.verify.photos import read_photos


def test_without_a_folder_the_portrait_serves() -> None:
    photos = read_photos(None)
    assert len(photos.held_out) == 16
    assert len({np.asarray(photo).shape for photo in photos.held_out}) > 8, "sizes and shapes differ"
    assert photos.targets is None
    assert "--images" in photos.unlabelled_reason


def test_splits_are_kept_apart(painted: Path) -> None:
    photos = read_photos(painted, held_out=10, calibrating=12)
    assert {path.parts[-3] for path in photos.calibrating} == {"train"}
    assert {path.parts[-3] for path in photos.held_out} == {"val"}
    assert (len(photos.held_out), len(photos.calibrating)) == (10, 12)
    assert photos.description == f"10 of the 64 photos in {painted.name}"
    assert photos.targets is not None
    assert [path.parts[-2] == "ai" for path in photos.held_out] == photos.targets.tolist()
    again = read_photos(painted, held_out=10, calibrating=12)
    assert (again.held_out, again.calibrating) == (photos.held_out, photos.calibrating)


def test_without_splits_at_most_a_third_calibrates(painted: Path, tmp_path: Path) -> None:
    for number, photo in enumerate(sorted((painted / "val").rglob("*.png"))):
        shutil.copy(photo, tmp_path / f"{number}.png")
    photos = read_photos(tmp_path, held_out=64, calibrating=32)
    assert (len(photos.held_out), len(photos.calibrating)) == (11, 5)
    assert not set(photos.held_out) & set(photos.calibrating)
    assert photos.targets is None
    assert "real/ and ai/" in photos.unlabelled_reason


def test_photos_of_one_label_measure_no_auc(painted: Path, tmp_path: Path) -> None:
    shutil.copytree(painted / "val" / "real", tmp_path / "real")
    photos = read_photos(tmp_path)
    assert photos.targets is None
    assert photos.unlabelled_reason == "the held-out photos are all of one label"


def test_what_holds_no_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no photos to prove parity on"):
        read_photos(tmp_path)
    with pytest.raises(DataError):
        read_photos(tmp_path / "absent")
    (tmp_path / "broken.png").write_text("no photo")
    with pytest.raises(SourceError, match=r"--images: .*broken\.png"):
        read_photos(tmp_path)

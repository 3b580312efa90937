"""Temperature and operating points, fitted on labelled photos before the export."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from aiface_evaluation.dataset import read_samples
from aiface_evaluation.errors import DataError
from aiface_export.calibrate import calibrate
from aiface_export.options import ExportOptions
from aiface_export.pipeline import export
from aiface_runtime import Classifier
from tests.support.tiny_source import WEIGHTS, tiny_source


@pytest.fixture(scope="module")
def noisy(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of which a quarter bear the other label, so that no calibrated probability is above 0.75."""
    root = tmp_path_factory.mktemp("noisy")
    for label, other in (("real", "ai"), ("ai", "real")):
        (root / label).mkdir()
        for number in range(24):
            shutil.copy(painted / "train" / (other if number % 4 == 0 else label) / f"{number}.png", root / label)
            (root / label / f"{number}.png").rename(root / label / f"{label} {number}.png")
    return root


def test_an_over_sure_network_becomes_calibrated(noisy: Path, tmp_path: Path) -> None:
    source = tiny_source(weights=5 * WEIGHTS)
    calibration = calibrate(source, noisy)
    record = calibration.record
    assert calibration.temperature == record.temperature > 1.5
    assert record.nll_after < record.nll_before
    assert record.ece_after < record.ece_before
    assert record.fitted_on == f"48 photos of {noisy.name}, both labels weighing the same"
    assert calibration.operating_points.keys() == {"balanced", "low_false_alarm", "high_recall"}
    photos = [sample.path for sample in read_samples(noisy)]
    exported = export(source, tmp_path / "tiny.onnx", ExportOptions(calibrate_on=noisy))
    with Classifier(exported.file, device="cpu") as classifier:
        answers = [answer.scores for answer in classifier.predict_many(photos, on_error="raise")]
        assert classifier.manifest.document["calibration"] == record.to_json()
        points = {name: point.to_json() for name, point in calibration.operating_points.items()}
        assert classifier.manifest.document["operating_points"] == points
    margins = [np.log(scores["ai"]) - np.log(scores["real"]) for scores in answers]
    before = np.log(source.probabilities(photos).astype(np.float64))
    np.testing.assert_allclose(margins, (before[:, 1] - before[:, 0]) / calibration.temperature, atol=1e-3)


def test_the_val_split_is_taken_where_there_is_one(painted: Path) -> None:
    assert calibrate(tiny_source(), painted).record.fitted_on.startswith("16 val photos of painted")


def test_both_labels_are_needed_and_photos_that_can_be_read(painted: Path, tmp_path: Path) -> None:
    shutil.copytree(painted / "val" / "real", tmp_path / "real")
    with pytest.raises(DataError, match="both labels"):
        calibrate(tiny_source(), tmp_path)
    (tmp_path / "ai").mkdir()
    (tmp_path / "ai" / "broken.png").write_text("no photo")
    with pytest.raises(DataError, match=r"broken\.png"):
        calibrate(tiny_source(), tmp_path)
    with pytest.raises(DataError):
        calibrate(tiny_source(), tmp_path / "absent")

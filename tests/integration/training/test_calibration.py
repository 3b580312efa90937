"""Calibration and the command that does it on a checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logit
from transformers import MobileNetV2Config, MobileNetV2ForImageClassification, MobileNetV2ImageProcessor

from aiface_evaluation.dataset import Sample, read_samples
from aiface_evaluation.names import CONDITION_NAMES as CONDITIONS
from aiface_evaluation.types import Scores
from aiface_export.testing.random_checkpoints import save_family
from aiface_training.cli import main
from aiface_training.scorer import CheckpointScorer


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of random weights whose answers are all AI, and overconfident."""
    torch.manual_seed(0)
    config = MobileNetV2Config(
        image_size=64, depth_multiplier=0.35, id2label={0: "real", 1: "ai"}, label2id={"real": 0, "ai": 1}
    )
    model = MobileNetV2ForImageClassification(config)
    with torch.no_grad():
        model.classifier.weight.mul_(30.0)
        model.classifier.bias.copy_(torch.tensor([-3.0, 3.0]))
    folder = tmp_path / "checkpoint"
    model.save_pretrained(folder)
    size = {"height": 64, "width": 64}
    MobileNetV2ImageProcessor(size={"shortest_edge": 64}, crop_size=size).save_pretrained(folder)
    return folder


def score(folder: Path, samples: list[Sample], conditions: tuple[str, ...], *, bf16: bool = False) -> dict[str, Scores]:
    return CheckpointScorer(folder, bf16=bf16).score(samples, conditions, iter)


def test_calibrating_folds_slope_and_bias_into_the_checkpoint(checkpoint: Path, painted: Path, tmp_path: Path) -> None:
    calibrated = tmp_path / "made"
    assert main(["calibrate", str(checkpoint), str(painted), "-o", str(calibrated)]) == 0
    record = json.loads((calibrated / "aiface.json").read_text())
    slope, bias = (record["calibration"][name] for name in ("slope", "bias"))
    val = [sample for sample in read_samples(painted) if sample.split == "val"]
    before, after = (score(folder, val, CONDITIONS) for folder in (checkpoint, calibrated))
    for condition in CONDITIONS:
        np.testing.assert_allclose(logit(after[condition]), slope * logit(before[condition]) + bias, atol=1e-3)
    assert record["calibration"]["ece_after"] < record["calibration"]["ece_before"]
    assert all(point["measured"].keys() == set(CONDITIONS) for point in record["operating_points"].values())
    assert record["training"]["commands"][0].startswith("aiface-train calibrate")
    processors = [json.loads((folder / "preprocessor_config.json").read_text()) for folder in (checkpoint, calibrated)]
    assert processors[0] == processors[1]


def test_several_checkpoints_are_averaged(checkpoint: Path, painted: Path, tmp_path: Path) -> None:
    """Of networks that differ in the last layer alone, the average gives the mean of their margins."""
    other, calibrated = tmp_path / "other", tmp_path / "made"
    shutil.copytree(checkpoint, other)
    model = MobileNetV2ForImageClassification.from_pretrained(other)
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([1.0, 2.0]))
    model.save_pretrained(other)
    assert main(["calibrate", str(checkpoint), str(other), str(painted), "-o", str(calibrated)]) == 0
    record = json.loads((calibrated / "aiface.json").read_text())["calibration"]
    val = [sample for sample in read_samples(painted) if sample.split == "val"]
    first, second, average = (
        logit(score(folder, val, ("clean",))["clean"]) for folder in (checkpoint, other, calibrated)
    )
    assert np.all(first - second > 1.0), "or the average would show nothing"
    np.testing.assert_allclose(average, record["slope"] * (first + second) / 2 + record["bias"], atol=1e-3)


def test_what_cannot_be_calibrated_says_so(
    checkpoint: Path, painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_label = tmp_path / "manifest.csv"
    one_label.write_text(f"path,label\n{painted / 'val' / 'real' / '0.png'},real\n")
    wider = MobileNetV2Config(image_size=64, depth_multiplier=0.5, num_labels=2)
    MobileNetV2ForImageClassification(wider).save_pretrained(tmp_path / "wider")
    MobileNetV2ImageProcessor().save_pretrained(tmp_path / "wider")
    for places, data, says in (
        ([checkpoint], one_label, "real and ai"),
        ([tmp_path / "none"], painted, "no such checkpoint"),
        ([checkpoint, tmp_path / "wider"], painted, "not of the same architecture"),
    ):
        assert main(["calibrate", *map(str, places), str(data), "-o", str(tmp_path / "made")]) == 1
        assert says in capsys.readouterr().err


def test_bfloat16_where_the_processor_has_it(
    painted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = save_family("clip_blocks", tmp_path, small=True)
    val = [sample for sample in read_samples(painted) if sample.split == "val"]
    exact = score(checkpoint, val, ("clean",))["clean"]
    for has_it in (True, False):  # emulated where it is not
        monkeypatch.setattr("aiface_training.scorer.has_bfloat16", lambda has_it=has_it: has_it)
        rounded = score(checkpoint, val, ("clean",), bf16=True)["clean"]
        assert (np.abs(rounded - exact).max() > 0) == has_it
        np.testing.assert_allclose(logit(rounded), logit(exact), atol=0.3)
    assert main(["evaluate", "model.onnx", str(painted), "--bf16"]) == 1
    assert "model.onnx: --bf16 is for checkpoint folders" in capsys.readouterr().err

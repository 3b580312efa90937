"""From photos to a teacher, to a student, to a face head, to a model file: each step by its own command."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_evaluation.dataset import read_samples
from aiface_export.cli import main as export
from aiface_runtime import Classifier
from aiface_runtime.images import load_rgb
from aiface_training.cli import main

torch = pytest.importorskip("torch")

from transformers import (  # noqa: E402
    AutoModelForImageClassification,
    CLIPVisionConfig,
    CLIPVisionModel,
    SwinConfig,
    SwinForImageClassification,
    ViTImageProcessor,
)

from aiface_export.networks import EfficientNetLiteConfig, EfficientNetLiteForImageClassification  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]

_SIZE = 64  # pixels, of every network here
_TEACHER = [
    *("class_blocks=[1,2]", "patch_blocks=[2]", "hidden_size=8", "steps=30", "batch_size=16"),
    *(f"image_size={_SIZE}", f"augmentation.size={_SIZE}", "augmentation.min_size=32"),
]
_STUDENT = [f"image_size={_SIZE}", "steps=6", "batch_size=4"]


def _set(changes: list[str]) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


@pytest.fixture(scope="module")
def photos(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The painted photos with a manifest, and face boxes: three quarters of each side are called a face."""
    root = tmp_path_factory.mktemp("photos")
    shutil.copytree(painted, root, dirs_exist_ok=True)
    samples = read_samples(root)
    with (root / "manifest.csv").open("w", newline="") as file:
        rows = [(sample.path.relative_to(root), sample.label, sample.split, sample.source) for sample in samples]
        csv.writer(file).writerows([("path", "label", "split", "source"), *rows])
    with (root / "faces.csv").open("w", newline="") as file:
        boxes = []
        for sample in samples:
            width, height = load_rgb(sample.path).shape[1::-1]
            boxes.append((sample.path.relative_to(root), 0, 0, 3 * width // 4, 3 * height // 4))
        csv.writer(file).writerows([("path", "left", "top", "width", "height"), *boxes])
    return root


@pytest.fixture(scope="module")
def teacher(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    clip = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=_SIZE,
        patch_size=16,
    )
    CLIPVisionModel(clip).save_pretrained(folder / "clip")
    clip_and_recipe = ["--clip", str(folder / "clip"), *_set(_TEACHER)]
    assert main(["views", str(photos), "-o", str(folder / "views"), *clip_and_recipe]) == 0
    assert main(["teacher", str(folder / "views"), "-o", str(folder / "teacher"), *clip_and_recipe]) == 0
    return folder / "teacher"


def test_the_teacher_is_the_tower_as_it_was_with_a_head(teacher: Path) -> None:
    network = AutoModelForImageClassification.from_pretrained(teacher)
    assert len(network.clip.encoder.layers) == 2, "what the head does not look at is not kept"
    original = CLIPVisionModel.from_pretrained(teacher.parent / "clip").vision_model
    for ours, theirs in zip(
        network.clip.encoder.layers.parameters(), original.encoder.layers.parameters(), strict=False
    ):
        assert torch.equal(ours, theirs)
    record = json.loads((teacher / "aiface.json").read_text())
    assert record["training"]["recipe"]["hidden_size"] == 8
    assert [line.split()[1] for line in record["training"]["commands"]] == ["views", "teacher"]


def test_views_go_on_where_they_were_and_refuse_another_recipe(
    teacher: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = teacher.parent / "views"
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")}
    command = ["views", str(photos), "-o", str(folder), "--clip", str(teacher.parent / "clip"), *_set(_TEACHER)]
    assert main(command) == 0
    assert {file: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")} == before
    assert main([*command, "--set", "seed=1"]) == 1
    assert "remove it or name another" in capsys.readouterr().err


def test_a_student_becomes_a_model_file_that_knows_where_a_face_is(teacher: Path, photos: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    random = EfficientNetLiteForImageClassification(EfficientNetLiteConfig(image_size=_SIZE))
    for layer in random.modules():
        if isinstance(layer, torch.nn.Conv2d):  # as wide as the signal, which otherwise fades from layer to layer
            torch.nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    body = {name: each for name, each in random.state_dict().items() if not name.startswith("classifier.")}
    torch.save({**body, "_fc.weight": torch.zeros(1000, 1280)}, tmp_path / "lite0.pth")
    words = ["distil", str(teacher.parent / "views"), "--teacher", str(teacher)]
    words += ["--init", str(tmp_path / "lite0.pth"), "-o", str(tmp_path / "student"), *_set(_STUDENT)]
    assert main(words) == 0
    student = AutoModelForImageClassification.from_pretrained(tmp_path / "student")
    assert torch.equal(student.stem[0].weight, random.stem[0].weight), "frozen"
    assert not torch.equal(student.stages[4][0].depthwise[0].weight, random.stages[4][0].depthwise[0].weight)
    assert torch.equal(student.head[1].running_mean, random.head[1].running_mean), "BatchNorm stays as it was"

    _grounds(tmp_path / "grounds")
    words = ["face-head", str(tmp_path / "student"), str(photos), "--boxes", str(photos / "faces.csv")]
    assert main([*words, "--no-face", str(tmp_path / "grounds"), "-o", str(tmp_path / "faces")]) == 0
    assert main(["calibrate", str(tmp_path / "faces"), str(photos), "-o", str(tmp_path / "calibrated")]) == 0
    file = tmp_path / "student.onnx"
    assert export([str(tmp_path / "calibrated"), "-o", str(file), "--images", str(photos)]) == 0
    with Classifier(file) as classifier:
        assert classifier.manifest.evidence is not None
        answers = [classifier.predict(path) for path in sorted((photos / "val").rglob("*.png"))]
        grounds = [classifier.predict(path) for path in sorted((tmp_path / "grounds").iterdir())]
    assert sum("no_face" in answer.warnings for answer in answers) <= 1, "as many as the threshold allows"
    means = [np.mean([answer.face_probability for answer in group]) for group in (answers, grounds)]
    assert means[0] > means[1] + 0.2


def test_a_swin_learns_from_the_teacher_too(teacher: Path, photos: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"image_size": _SIZE, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
    SwinForImageClassification(SwinConfig(**sizes)).save_pretrained(tmp_path / "swin")
    ViTImageProcessor().save_pretrained(tmp_path / "swin")
    words = ["distil", str(teacher.parent / "views"), "--teacher", str(teacher), "--recipe", "swin_tiny_distilled"]
    words += ["--init", str(tmp_path / "swin"), "-o", str(tmp_path / "student"), *_set(_STUDENT)]
    assert main(words) == 0
    assert main(["calibrate", str(tmp_path / "student"), str(photos), "-o", str(tmp_path / "calibrated")]) == 0
    assert export([str(tmp_path / "calibrated"), "-o", str(tmp_path / "swin.onnx"), "--images", str(photos)]) == 0
    with Classifier(tmp_path / "swin.onnx") as classifier:
        val = sorted((photos / "val").rglob("*.png"))
        answers = {
            label: [classifier.predict(each).p_ai for each in val if label in each.parts] for label in ("real", "ai")
        }
    assert np.mean(answers["ai"]) > np.mean(answers["real"]), "its classifier is the head that learned"


def _grounds(folder: Path) -> None:
    """Pictures of one colour and noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(24):
        pixels = rng.integers(0, 256, 3) + rng.normal(0, 5, (96, 96, 3))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")

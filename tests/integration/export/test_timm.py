"""timm's own checkpoints become files that give timm's answers.

In a process of its own: torchvision, which timm needs, has no build that fits the pinned PyTorch, and transformers
imports it wherever it is installed. `make test` puts both beside the environment and says where by AIFACE_TEST_TIMM.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import Classifier
from tests import support

pytestmark = [pytest.mark.torch]

TIMM_FOLDER = os.environ.get("AIFACE_TEST_TIMM", "")
SCRIPT = Path(support.__file__).with_name("timm_process.py")


@dataclass(frozen=True)
class Run:
    """What the process left.

    Attributes:
        folder: Where its files are.
        results: What it found, by name.
        complaints: The lines on standard error that begin with "aiface-export: ".
    """

    folder: Path
    results: dict[str, Any]
    complaints: list[str]


@pytest.fixture(scope="module")
def photos(portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Cuts of sizes whose crop starts at half a pixel, to be rounded up and down."""
    folder = tmp_path_factory.mktemp("photos")
    sizes = [(512, 600), (301, 300), (300, 303), (200, 411), (97, 231), (389, 240)]
    with Image.open(portrait) as image:
        for number, (width, height) in enumerate(sizes):
            image.crop((10 * number, 5 * number, 10 * number + width, height)).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def run(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    if not TIMM_FOLDER and util.find_spec("timm") is None:
        pytest.skip("timm is not installed, and AIFACE_TEST_TIMM does not say where")
    folder = tmp_path_factory.mktemp("timm")
    paths = os.pathsep.join(filter(None, [TIMM_FOLDER, os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), *map(str, photos)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    complaints = [line for line in done.stderr.splitlines() if line.startswith("aiface-export: ")]
    return Run(folder, json.loads((folder / "results.json").read_text()), complaints)


def test_the_file_gives_timms_answers(run: Run, photos: list[Path]) -> None:
    assert run.results["export of center"] == 0
    expected = np.array(run.results["answers"])
    assert np.ptp(expected[:, 0]) > 0.1, "a reference that says the same of every photo proves nothing"
    with Classifier(run.folder / "center.onnx", device="cpu") as classifier:
        answers = [classifier.predict(photo) for photo in photos]
        document = classifier.manifest.document
    actual = np.array([list(answer.scores.values()) for answer in answers])
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert [answer.p_ai for answer in answers] == [answer.scores["fake"] for answer in answers]
    assert document["source"]["architecture"] == "timm test_efficientnet"
    assert [step["op"] for step in document["input"]["steps"]][-1] == "center_crop_to_even"


@pytest.mark.parametrize("crop_mode", ["center", "squash"])
def test_the_manifests_steps_give_timms_pixels(crop_mode: str, run: Run) -> None:
    assert run.results["pixel difference"][crop_mode] <= 1e-5
    assert run.results["steps of squash"] == ["Resize", "CenterCropToEven"]


def test_transforms_that_the_manifest_cannot_say_are_refused(run: Run) -> None:
    assert run.results["export of border"] == 1
    line, _ = run.complaints
    assert "ResizeKeepRatio" in line
    assert not (run.folder / "border.onnx").exists()


def test_a_single_output_gives_timms_answers(run: Run, photos: list[Path]) -> None:
    assert run.results["export of single"] == 0
    expected = np.array(run.results["answers of single"])[:, 0]
    assert np.ptp(expected) > 0.1
    with Classifier(run.folder / "single.onnx", device="cpu") as classifier:
        np.testing.assert_allclose([classifier.predict(photo).p_ai for photo in photos], expected, atol=1e-4)
    assert run.results["export of single without labels"] == 1
    assert "--labels real,ai" in run.complaints[1]


@pytest.mark.skipif(util.find_spec("timm") is not None, reason="timm is installed")
def test_without_timm_one_line_says_what_to_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from aiface_export.cli import main

    (tmp_path / "config.json").write_text(json.dumps({"architecture": "efficientnet_b4", "pretrained_cfg": {}}))
    (tmp_path / "model.safetensors").touch()
    assert main([str(tmp_path), "-o", str(tmp_path / "model.onnx")]) == 1
    assert "timm torchvision" in capsys.readouterr().err

"""timm's own checkpoints → files that give timm's answers.

In processes of their own: torchvision, which timm needs, has no build that fits the pinned PyTorch, and transformers
imports it wherever it is installed. `make test` puts both beside the environment and says where by AIFACE_TEST_TIMM.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import Classifier

PLACE = os.environ.get("AIFACE_TEST_TIMM", "")
needs_timm = pytest.mark.skipif(
    not PLACE and util.find_spec("timm") is None,
    reason="timm is not installed, and AIFACE_TEST_TIMM does not say where",
)

SAVE = """
import sys
from pathlib import Path
from aiface_export.testing.random_checkpoints import TIMM, save_family
from PIL import Image
save_family(TIMM, Path(sys.argv[1]), small=True, pictures=[Image.open(photo) for photo in sys.argv[2:]])
"""
# What a user of timm writes, apart from the exporter and from transformers' wrapper.
ANSWER = """
import json, sys
from pathlib import Path
from aiface_export.sources.torchvision_stub import declare_missing_names
declare_missing_names()
import timm, torch
from PIL import Image
from safetensors.torch import load_file
folder = Path(sys.argv[1])
config = json.loads((folder / "config.json").read_text())
model = timm.create_model(config["architecture"], num_classes=2)
model.load_state_dict(load_file(folder / "model.safetensors"))
data = timm.data.resolve_data_config(config["pretrained_cfg"])
transform = timm.data.create_transform(**data)
with torch.inference_mode():
    photos = [Image.open(photo).convert("RGB") for photo in sys.argv[2:]]
    rows = [model.eval()(transform(photo)[None]).softmax(-1)[0].tolist() for photo in photos]
print(json.dumps(rows))
"""


def python(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join(filter(None, [PLACE, os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": places, "PYTHONWARNINGS": "ignore"}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=check, env=environment)


@pytest.fixture(scope="module")
def photos(portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Cuts of sizes whose crop starts at half a pixel, to be rounded up and down."""
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(portrait) as image:
        for number, (width, height) in enumerate(
            [(512, 600), (301, 300), (300, 303), (200, 411), (97, 231), (389, 240)]
        ):
            image.crop((10 * number, 5 * number, 10 * number + width, height)).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def saved(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("timm") / "checkpoint"
    python("-c", SAVE, str(folder), *map(str, photos))
    return folder


def as_the_hub_has_it(saved: Path, folder: Path, crop_mode: str) -> Path:
    """timm's repositories name neither transformers nor its classes."""
    shutil.copytree(saved, folder)
    config = json.loads((folder / "config.json").read_text())
    kept: dict[str, object] = {
        "architecture": config["architecture"],
        "num_classes": 2,
        "label_names": ["fake", "real"],
    }
    kept["pretrained_cfg"] = {**config["pretrained_cfg"], "crop_mode": crop_mode}
    (folder / "config.json").write_text(json.dumps(kept))
    return folder


@needs_timm
@pytest.mark.parametrize("crop_mode", ["center", "squash"])
def test_the_file_gives_timms_answers(crop_mode: str, saved: Path, photos: list[Path], tmp_path: Path) -> None:
    folder, file = as_the_hub_has_it(saved, tmp_path / "checkpoint", crop_mode), tmp_path / "model.onnx"
    done = python("-m", "aiface_export", str(folder), "-o", str(file), check=False)
    assert done.returncode == 0, done.stderr
    expected = np.array(json.loads(python("-c", ANSWER, str(folder), *map(str, photos)).stdout))
    assert np.ptp(expected[:, 0]) > 0.1, "a reference that says the same of every photo proves nothing"
    with Classifier(file, device="cpu") as classifier:
        answers = [classifier.predict(photo) for photo in photos]
        document = classifier.manifest.document
    actual = np.array([list(answer.scores.values()) for answer in answers])
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert [answer.p_ai for answer in answers] == [answer.scores["fake"] for answer in answers]
    assert document["source"]["architecture"] == "timm test_efficientnet"
    assert [step["op"] for step in document["input"]["steps"]][-1] == "center_crop_to_even"


@needs_timm
def test_transforms_that_the_manifest_cannot_say_are_refused(saved: Path, tmp_path: Path) -> None:
    folder = as_the_hub_has_it(saved, tmp_path / "checkpoint", "border")
    done = python("-m", "aiface_export", str(folder), "-o", str(tmp_path / "model.onnx"), check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("aiface-export: ")]
    assert "ResizeKeepRatio" in line
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.skipif(util.find_spec("timm") is not None, reason="timm is installed")
def test_without_timm_one_line_says_what_to_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from aiface_export.cli import main

    (tmp_path / "config.json").write_text(json.dumps({"architecture": "efficientnet_b4", "pretrained_cfg": {}}))
    (tmp_path / "model.safetensors").touch()
    assert main([str(tmp_path), "-o", str(tmp_path / "model.onnx")]) == 1
    assert "timm torchvision" in capsys.readouterr().err

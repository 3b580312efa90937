"""The seed's ResNet, small, from pictures that the tests paint to an answer of the runtime, through the commands."""

from __future__ import annotations

import json
import os
import warnings
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiface_evaluation.dataset import read_samples
from aiface_export.cli import main as export
from aiface_runtime import Classifier
from aiface_runtime.images import load_rgb
from aiface_runtime.manifest import Resize
from aiface_runtime.preprocess import preprocess
from aiface_training.cli import main

os.environ.setdefault("KERAS_BACKEND", "tensorflow" if util.find_spec("tensorflow") else "torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the frameworks, while they are imported
    keras = pytest.importorskip("keras", reason="keras is not installed")

# The frameworks warn of their own futures.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

RECIPE = """
width = 4
image_size = 32
channels = "bgr"
resize = "bilinear"
samples = 480
batch_size = 8
learning_rate = 5e-3
evaluations = 4
bf16 = false
seed = 1
licence = "Apache-2.0"
limits = "For tests."
[augmentation]
style = 0.0
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    file.write_text(RECIPE)
    return file


@pytest.fixture(scope="module")
def trained(painted: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "seed"
    assert main(["reference-resnet", str(painted), "-o", str(folder), "--recipe", str(recipe)]) == 0
    return folder


def test_it_learns_and_says_how(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {"model.keras", "aiface.json"}
    record = json.loads((trained / "aiface.json").read_text())
    losses, aucs = record["training"]["losses"], record["training"]["val_auc"]
    assert len(losses) == len(aucs) == 4
    assert losses[-1] < 0.6 * losses[0]
    assert max(aucs) > 0.9, "a missing colour is easy"
    assert record["training"]["commands"][0].startswith("aiface-train reference-resnet")
    assert record["training"]["recipe"]["width"] == 4


def test_it_is_exported_and_evaluated_like_the_others(trained: Path, painted: Path, tmp_path: Path) -> None:
    file, figures = tmp_path / "seed.onnx", tmp_path / "figures.json"
    assert export([str(trained / "model.keras"), "-o", str(file), "--labels", "ai,real"]) == 0
    assert main(["evaluate", str(file), str(painted), "-o", str(figures)]) == 0
    auc = json.loads(figures.read_text())["splits"]["val"]["conditions"]["clean"]["overall"]["auc"]
    record = json.loads((trained / "aiface.json").read_text())
    assert auc == pytest.approx(max(record["training"]["val_auc"]), abs=0.02), "the same weights, fed the same pixels"
    photos = [sample.path for sample in read_samples(painted) if sample.split == "val"]
    with Classifier(file, device="cpu") as classifier:
        document = classifier.manifest.document
        answers = [answer.scores["real"] for answer in classifier.predict_many(photos, on_error="raise")]
    assert document["training"] == record["training"]
    assert document["limits"] == "For tests."
    assert document["input"]["network_channels"] == "bgr"
    assert document["input"]["steps"] == [{"op": "resize", "height": 32, "width": 32, "filter": "bilinear"}]
    sized = [preprocess(load_rgb(photo), (Resize(32, 32, "bilinear"),))[..., ::-1] / 255 for photo in photos]
    network = keras.models.load_model(trained / "model.keras")
    np.testing.assert_allclose(answers, network.predict(np.stack(sized), verbose=0)[:, 0], atol=1e-4)


def test_the_record_says_what_the_file_does_not(trained: Path, tmp_path: Path) -> None:
    from aiface_export.errors import SourceError
    from aiface_export.source import Hints
    from aiface_export.sources import open_source

    source = open_source(str(trained / "model.keras"))
    assert (source.labels, source.ai_labels, source.preprocessing.channels) == (("ai", "real"), ("ai",), "bgr")
    told = open_source(str(trained / "model.keras"), hints=Hints(channels="rgb", resize="bicubic"))
    assert (told.preprocessing.channels, told.preprocessing.steps[0].filter) == ("rgb", "bicubic")
    other = tmp_path / "other.keras"
    other.write_bytes((trained / "model.keras").read_bytes())
    (tmp_path / "aiface.json").write_bytes((trained / "aiface.json").read_bytes())
    with pytest.raises(SourceError, match="--labels"):
        open_source(str(other))
    (tmp_path / "aiface.json").write_text("{")
    with pytest.raises(SourceError, match="not JSON"):
        open_source(str(other))


class PowerCutError(Exception):
    """Stands for the power cut."""


def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(
    painted: Path, recipe: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiface_training.keras_resnet import train as seed_training

    command = ["reference-resnet", str(painted), "-o", str(tmp_path / "seed"), "--recipe", str(recipe)]
    measure, measured = seed_training._val_auc, []

    def fail_at_the_third(*args: Any) -> float:
        measured.append(args)
        if len(measured) == 3:
            raise PowerCutError
        return measure(*args)

    with monkeypatch.context() as patch:
        patch.setattr(seed_training, "_val_auc", fail_at_the_third)
        with pytest.raises(PowerCutError):
            main(command)
    assert {path.name for path in (tmp_path / "seed" / "run").iterdir()} >= {"state-2.keras", "progress.json"}
    assert main([*command, "--resume"]) == 0
    folders = (tmp_path / "seed", trained)
    ours, whole = (json.loads((folder / "aiface.json").read_text()) for folder in folders)
    np.testing.assert_allclose(ours["training"]["losses"], whole["training"]["losses"], rtol=1e-3)
    weights, theirs = (
        keras.models.load_model(folder / "model.keras").get_weights() for folder in (tmp_path / "seed", trained)
    )
    for ours_, theirs_ in zip(weights, theirs, strict=True):
        np.testing.assert_allclose(ours_, theirs_, rtol=1e-2, atol=1e-4)


def test_bfloat16_keeps_float32_weights(painted: Path, recipe: Path, tmp_path: Path) -> None:
    from aiface_training.keras_resnet.train import _policy, reference_resnet
    from aiface_training.recipe import ReferenceRecipe, load_recipe

    with _policy("mixed_bfloat16"):
        model = reference_resnet(4, 32)
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    assert np.asarray(model.predict(np.zeros((1, 32, 32, 3)), verbose=0)).dtype == np.float32
    assert load_recipe("reference_resnet", ReferenceRecipe).width == 64


def test_too_few_samples_is_one_line(
    painted: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["reference-resnet", str(painted), "-o", str(tmp_path / "seed"), "--recipe", str(recipe)]
    assert main([*command, "--set", "samples=24"]) == 1
    assert "24 samples" in capsys.readouterr().err
    assert main(["reference-resnet", "nowhere", "-o", str(tmp_path / "seed")]) == 1
    assert not (tmp_path / "seed").exists()

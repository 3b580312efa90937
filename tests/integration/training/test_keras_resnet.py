"""The reference ResNet, small, from pictures that the tests paint to an answer of the runtime, through the commands."""

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
from aiface_runtime.preprocess import preprocess
from aiface_runtime.steps import Resize
from aiface_training.cli import main
from aiface_training.data.sampling import EpochSampler, SampledExample

os.environ.setdefault("KERAS_BACKEND", "tensorflow" if util.find_spec("tensorflow") else "torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the frameworks, while they are imported
    keras = pytest.importorskip("keras", reason="keras is not installed")
    from aiface_training.keras_resnet import train
    from aiface_training.keras_resnet.callbacks import RunLog, run_callbacks

# The frameworks warn of their own futures.
pytestmark = [
    pytest.mark.keras,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

# Not narrower: with 4 channels, oneDNN's AVX2 kernel for the weight gradients of a strided 1 x 1 convolution gives
# other numbers at every call (PyTorch 2.13), so that two runs are as far apart as two seeds.
RECIPE = """
width = 8
image_size = 32
channels = "bgr"
resize = "bilinear"
samples = 320
batch_size = 8
learning_rate = 5e-3
evaluations = 4
bf16 = false
seed = 1
licence = "Apache-2.0"
limits = "For tests."
[augmentation]
colour_jitter = 0.0
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    file.write_text(RECIPE)
    return file


@pytest.fixture(scope="module")
def trained(painted: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "resnet"
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
    assert record["training"]["recipe"]["width"] == 8


def test_it_is_exported_and_evaluated_like_the_others(trained: Path, painted: Path, tmp_path: Path) -> None:
    file, figures = tmp_path / "resnet.onnx", tmp_path / "figures.json"
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
    hinted = open_source(str(trained / "model.keras"), hints=Hints(channels="rgb", resize="bicubic"))
    assert (hinted.preprocessing.channels, hinted.preprocessing.steps[0].filter) == ("rgb", "bicubic")
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


class Recorder(keras.callbacks.Callback):
    """Notes what a run goes on from at the begin of each epoch, and cuts one off at the end of its third.

    Called after the log is written and before the state is backed up, it cuts at the worst moment.
    """

    def __init__(self, sampler: EpochSampler, cut: bool) -> None:
        super().__init__()
        self._sampler, self._cut = sampler, cut
        self.examples: dict[int, list[SampledExample]] = {}
        self.states: dict[int, list[np.ndarray]] = {}
        self.ends: dict[int, np.ndarray] = {}
        self.iterations: dict[int, int] = {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.examples[epoch] = list(self._sampler)
        self.iterations[epoch] = int(self.model.optimizer.iterations)
        # Weights and running statistics; iterations, learning rate and both moments of every weight.
        parts = (*self.model.weights, *self.model.optimizer.variables)
        self.states[epoch] = [np.array(keras.ops.convert_to_numpy(part)) for part in parts]

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.ends[epoch] = np.concatenate([weight.ravel() for weight in self.model.get_weights()])
        if self._cut and epoch == 2:
            raise PowerCutError


def run_recorded(command: list[str], monkeypatch: pytest.MonkeyPatch, *, cut: bool = False) -> Recorder:
    """Run a command with a recorder among the real callbacks, the last but that which backs up."""
    recorders: list[Recorder] = []

    def with_recorder(run: Path, sampler: EpochSampler, *arguments: Any) -> list[Any]:
        recorders.append(Recorder(sampler, cut))
        *callbacks, backup = run_callbacks(run, sampler, *arguments)
        return [*callbacks, recorders[0], backup]

    with monkeypatch.context() as patch:
        patch.setattr(train, "run_callbacks", with_recorder)
        if cut:
            with pytest.raises(PowerCutError):
                main(command)
        else:
            assert main(command) == 0
    return recorders[0]


def _training(folder: Path) -> dict[str, Any]:
    training: dict[str, Any] = json.loads((folder / "aiface.json").read_text())["training"]
    return training


def _weights(folder: Path) -> np.ndarray:
    model = keras.models.load_model(folder / "model.keras")
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.mean((one - other) ** 2)))


def test_a_run_that_was_cut_off_loses_nothing(
    painted: Path, recipe: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state comes back bit for bit, which holds on any processor; where it ends is as far as runs repeat at all."""
    command = ["reference-resnet", str(painted), "--recipe", str(recipe), "-o"]
    cut = run_recorded([*command, str(tmp_path / "cut")], monkeypatch, cut=True)
    log = RunLog.read(tmp_path / "cut" / "run")
    assert len(log.losses) == 3, "the third epoch is in the log and not in the backup"

    resumed = run_recorded([*command, str(tmp_path / "cut"), "--resume"], monkeypatch)
    assert list(cut.states) == [0, 1, 2]
    assert list(resumed.states) == [2, 3], "the epoch that was lost, and the next"
    assert resumed.iterations[2] == 2 * 10
    for ours, theirs in zip(resumed.states[2], cut.states[2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert resumed.examples[2] == cut.examples[2]
    examples = [*cut.examples[0], *cut.examples[1], *resumed.examples[2], *resumed.examples[3]]
    uncut = run_recorded([*command, str(tmp_path / "again")], monkeypatch)
    assert examples == [example for epoch in range(4) for example in uncut.examples[epoch]]
    assert len({example.seed for example in examples}) == 320, "no example twice"
    training = _training(tmp_path / "cut")
    assert training["losses"][:2] == list(log.losses[:2])
    assert training["val_auc"][:2] == list(log.val_auc[:2])
    assert len(training["losses"]) == len(training["val_auc"]) == 4
    best = int(np.argmax(training["val_auc"]))
    np.testing.assert_array_equal(_weights(tmp_path / "cut"), {**cut.ends, **resumed.ends}[best])

    trained_weights, uncut_weights, ours = (
        _weights(folder) for folder in (trained, tmp_path / "again", tmp_path / "cut")
    )
    assert _distance(ours, trained_weights) <= 3 * _distance(uncut_weights, trained_weights) + 1e-3
    losses, repeated = (np.array(_training(folder)["losses"]) for folder in (trained, tmp_path / "again"))
    assert np.abs(np.array(training["losses"]) - losses).max() <= 3 * np.abs(repeated - losses).max() + 1e-3


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
    command = ["reference-resnet", str(painted), "-o", str(tmp_path / "run"), "--recipe", str(recipe)]
    assert main([*command, "--set", "samples=24"]) == 1
    assert "24 samples" in capsys.readouterr().err
    assert main(["reference-resnet", "nowhere", "-o", str(tmp_path / "run")]) == 1
    assert not (tmp_path / "run").exists()

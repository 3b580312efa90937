"""An ONNX file that someone already has becomes self-describing, or is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from aiface_export.cli import main
from aiface_export.testing.random_checkpoints import save_family
from aiface_runtime import Classifier

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, and its network as an ONNX file for one photo, without pre- or post-processing."""
    folder = save_family("convnext", tmp_path_factory.mktemp("network") / "convnext", small=True)
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    program = torch.onnx.export(model, (torch.zeros(1, 3, 64, 64),), dynamo=True, external_data=False, verbose=False)
    assert program is not None
    onnx.save(program.model_proto, folder / "model.onnx")
    return folder


def export(folder: Path, model: Path, output: Path, *old_form: str) -> int:
    command = [*old_form, str(model), "--processor", str(folder / "preprocessor_config.json")]
    return main([*command, "--config", str(folder / "config.json"), "-o", str(output)])


def with_softmax(model: onnx.ModelProto) -> None:
    logits = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Softmax", [logits], ["shares"], axis=-1))
    model.graph.output[0].name = "shares"


def with_hidden_softmax(model: onnx.ModelProto) -> None:
    """Probabilities whose last node does not say so."""
    with_softmax(model)
    model.graph.node.append(helper.make_node("Identity", ["shares"], ["same"]))
    model.graph.output[0].name = "same"


def untouched(_: onnx.ModelProto) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "old_form"), [(untouched, ["adopt"]), (with_softmax, []), (with_hidden_softmax, [])]
)
def test_the_exported_file_gives_the_same_answers(
    change: Callable[[onnx.ModelProto], None], old_form: list[str], folder: Path, tmp_path: Path, portrait: Path
) -> None:
    model = onnx.load(folder / "model.onnx")
    change(model)
    onnx.save(model, tmp_path / "plain.onnx")
    assert export(folder, tmp_path / "plain.onnx", tmp_path / "out.onnx", *old_form) == 0
    processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)
    network = AutoModelForImageClassification.from_pretrained(folder).eval()
    with Image.open(portrait) as image, torch.inference_mode():
        photos = [image.convert("RGB").rotate(angle) for angle in range(0, 70, 10)]
        expected = network(**processor(photos, return_tensors="pt")).logits.softmax(-1).numpy()
    with Classifier(tmp_path / "out.onnx", device="cpu") as classifier:
        answers = list(classifier.predict_many(photos, batch_size=7, on_error="raise"))
        assert classifier.manifest.ai_labels == ("ai", "deepfake")
    np.testing.assert_allclose([list(answer.scores.values()) for answer in answers], expected, atol=1e-4)
    assert np.ptp(expected[:, 0]) > 0.01


def test_what_cannot_be_exported_is_one_line(
    folder: Path, tmp_path: Path, portrait: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = onnx.load(folder / "model.onnx")
    onnx.save(graph, tmp_path / "outside.onnx", save_as_external_data=True, size_threshold=0)
    graph = onnx.load(folder / "model.onnx")
    graph.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 96
    onnx.save(graph, tmp_path / "large.onnx")
    (tmp_path / "text.onnx").write_text("not a graph")
    two_labels = tmp_path / "two"
    two_labels.mkdir()
    (two_labels / "config.json").write_text(json.dumps({"id2label": {"0": "real", "1": "ai"}}))
    (two_labels / "preprocessor_config.json").write_bytes((folder / "preprocessor_config.json").read_bytes())
    for described_by, model, says in (
        (folder, tmp_path / "outside.onnx", "weights in another file"),
        (folder, tmp_path / "large.onnx", "side of 96"),
        (folder, tmp_path / "text.onnx", "not an ONNX file"),
        (folder, portrait, "not an ONNX file"),
        (folder, tmp_path / "none.onnx", "no such file"),
        (two_labels, folder / "model.onnx", "3 answers"),
        (tmp_path, folder / "model.onnx", "preprocessor_config.json"),
    ):
        capsys.readouterr()
        assert export(described_by, model, tmp_path / "out.onnx") == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("aiface-export: ")]
        assert says in line
        assert not (tmp_path / "out.onnx").exists()

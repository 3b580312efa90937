"""From pictures that the tests paint to an answer of the runtime, through the commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import (
    EvalPrediction,
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    SwinConfig,
    SwinForImageClassification,
    ViTImageProcessor,
)

from aiface_evaluation.errors import DataError
from aiface_export.cli import main as export
from aiface_runtime import Classifier
from aiface_training.cli import main

# transformers' Trainer and the exporters warn of their own futures.
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

RECIPE = """
init = "nowhere"
image_size = 64
samples = 192
batch_size = 8
learning_rate = 2e-3
weight_decay = 0.0
label_smoothing = 0.0
freeze = ["mobilenet_v2.conv_stem."]
evaluations = 2
reconstructions = 0.5
cutmix = 0.5
bf16 = false
seed = 1
licence = "Apache-2.0"
limits = "For tests."
[augmentation]
weak = 0.5
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    file.write_text(RECIPE)
    return file


@pytest.fixture(scope="module")
def swin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local checkpoint of Swin, small, with three classes of its own."""
    folder = tmp_path_factory.mktemp("swin")
    torch.manual_seed(0)
    config = SwinConfig(image_size=64, embed_dim=24, depths=[1, 1], num_heads=[2, 4], window_size=4, num_labels=3)
    SwinForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_finetune_evaluate_export_predict(
    painted: Path, swin: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, file = tmp_path / "run", tmp_path / "tiny.onnx"
    assert main(["finetune", str(painted), "-o", str(run), "--recipe", str(recipe), "--init", str(swin)]) == 0
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "aiface.json"} == {
        path.name for path in run.iterdir()
    }
    assert json.loads((run / "config.json").read_text())["id2label"] == {"0": "real", "1": "ai"}

    assert main(["evaluate", str(run), str(painted), "-o", str(run / "evaluation.json")]) == 0
    metrics = json.loads((run / "evaluation.json").read_text())["splits"]["val"]
    overall = metrics["conditions"]["clean"]["overall"]
    assert overall["auc"] > 0.9, "a missing colour is easy"
    for file_name in ("evaluation.md", "evaluation-reliability.png", "evaluation-roc.png", "evaluation-generators.png"):
        assert (run / file_name).stat().st_size > 1000
    assert "TPR@1%FPR" in capsys.readouterr().out

    assert export([str(run), "-o", str(file), "--bundle"]) == 0
    with Classifier(file) as classifier:
        document = classifier.manifest.document
        assert document["operating_points"].keys() == {"balanced", "low_false_alarm", "high_recall"}
        assert document["training"]["commands"][0].startswith("aiface-train finetune")
        assert document["evaluation"]["splits"]["val"] == metrics
    card, page = file.with_suffix(".md").read_text(), (run / "evaluation.md").read_text()
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert f"{overall['auc']:.3f}" in page
    assert len(tables) > 30
    assert all(line in card for line in tables), "the card says what the evaluation said"

    assert main(["evaluate", str(file), str(painted), "--format", "json"]) == 0
    record = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))
    for condition, result in record["splits"]["val"]["conditions"].items():
        expected = metrics["conditions"][condition]
        assert result["overall"]["auc"] == pytest.approx(expected["overall"]["auc"], abs=1e-3)
        assert result["overall"]["points"] == expected["overall"]["points"], "thresholds came along"
    assert "For tests." in card
    assert json.loads((tmp_path / "index.json").read_text())["default"] == "tiny"


class PowerCutError(Exception):
    """Stands for the power cut."""


def test_a_run_that_was_cut_off_goes_on(
    painted: Path, swin: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["finetune", str(painted), "-o", str(tmp_path / "run"), "--recipe", str(recipe), "--init", str(swin)]

    evaluations = []

    def fail_at_the_second(prediction: EvalPrediction) -> dict[str, float]:
        evaluations.append(prediction)
        if len(evaluations) == 2:
            raise PowerCutError
        return {"tpr_at_1_fpr": 0.5}

    with monkeypatch.context() as patch:
        patch.setattr("aiface_training.finetune.make_metrics", lambda _: fail_at_the_second)
        with pytest.raises(PowerCutError):
            main(command)
    assert [path.name for path in (tmp_path / "run" / "run").glob("checkpoint-*")] == ["checkpoint-12"]
    assert main([*command, "--resume"]) == 0
    assert (tmp_path / "run" / "aiface.json").is_file()
    assert not (tmp_path / "run" / "run").exists()


def test_a_backbone_keeps_its_features(tmp_path: Path) -> None:
    """The state dict's tensors, under other names but in order, give the same features in transformers."""
    from aiface_training.checkpoint import start_from

    torch.manual_seed(0)
    config = MobileNetV2Config(
        first_layer_is_expansion=False, finegrained_output=True, tf_padding=False, layer_norm_eps=1e-5
    )
    theirs = MobileNetV2ForImageClassification(config).eval()
    tensors = theirs.mobilenet_v2.state_dict().items()
    weights = {f"t{number}.{name.rpartition('.')[2]}": tensor for number, (name, tensor) in enumerate(tensors)}
    torch.save(weights, tmp_path / "backbone.pth")
    ours, processor = start_from(tmp_path / "backbone.pth", 96)
    pixels = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        expected = theirs.mobilenet_v2(pixels).pooler_output
        torch.testing.assert_close(ours.eval().mobilenet_v2(pixels).pooler_output, expected)
    assert ours.config.id2label == {0: "real", 1: "ai"}
    assert processor.size == {"shortest_edge": 96}
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("not weights")
    for name in ("other.pth", "text.pth", "missing.pth"):
        with pytest.raises(DataError, match=name):
            start_from(tmp_path / name, 96)


def test_the_shared_backbone_fits(shared_data: Path) -> None:
    """A wrong layout would show in the BatchNorm statistics: on real photos they are nearly those of ImageNet."""
    from aiface_training.checkpoint import start_from

    model, processor = start_from(shared_data.parent / "weights" / "mobilenetv2" / "backbone.pth", 224)
    seen: list[torch.Tensor] = []

    def look(norm: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        mean = inputs[0].mean((0, 2, 3))
        seen.append(((mean - norm.running_mean) / norm.running_var.sqrt()).abs().median())  # type: ignore[union-attr,operator]

    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(look)
    photos = [Image.open(path).convert("RGB") for path in sorted((shared_data / "val" / "real").iterdir())[::60]]
    with torch.inference_mode():
        model.eval()(**processor(photos, return_tensors="pt"))
    assert float(torch.stack(seen).median()) < 0.2


@pytest.mark.parametrize("command", [["finetune", "nowhere", "-o", "out"], ["evaluate", "nowhere", "nowhere"]])
def test_wrong_data_is_one_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 1
    assert capsys.readouterr().err.splitlines() == ["aiface-train: nowhere: no such folder or manifest"]

"""Variants in fewer bits and calibration, through the command: what is inside, what is refused, what is recorded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from PIL import Image
from sklearn.linear_model import LogisticRegression
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from aiface_evaluation.dataset import read_samples
from aiface_export.cli import main
from aiface_export.graph.convert import quiet
from aiface_export.sources import open_source
from aiface_runtime import Classifier

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def checkpoint(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ResNet of random features, its last layer fitted to the painted pictures, with overconfident answers."""
    folder = tmp_path_factory.mktemp("resnet")
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 32],
        depths=[2, 2],
        layer_type="basic",
        id2label={0: "real", 1: "ai"},
        label2id={"real": 0, "ai": 1},
    )
    model = ResNetForImageClassification(config)
    processor = ViTImageProcessor(size={"height": 64, "width": 64})
    samples = [sample for sample in read_samples(painted) if sample.split == "train"]
    pixels = processor([Image.open(sample.path) for sample in samples], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        for _ in range(20):  # gives BatchNorm the statistics of what flows through
            model.train()(pixels)
        features = model.eval().resnet(pixels).pooler_output.flatten(1).numpy()
        fitted = LogisticRegression(max_iter=1000).fit(features, [sample.target for sample in samples])
        weights = torch.tensor(np.concatenate([-fitted.coef_, fitted.coef_]), dtype=torch.float32)
        model.classifier[1].weight.copy_(5 * weights)
        model.classifier[1].bias.copy_(5 * torch.tensor([-fitted.intercept_[0], fitted.intercept_[0]]))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def network(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The checkpoint as an ONNX file, so that it is converted once and exported many times: words of the command."""
    file = tmp_path_factory.mktemp("network") / "network.onnx"
    with quiet():
        onnx.save(open_source(str(checkpoint)).exporters()["torch.onnx dynamo"](), file)
    described = ["--processor", str(checkpoint / "preprocessor_config.json"), "--config"]
    return [str(file), *described, str(checkpoint / "config.json")]


@pytest.fixture(scope="module")
def plain(network: list[str], painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file in fp32."""
    file = tmp_path_factory.mktemp("plain") / "plain.onnx"
    assert main([*network, "-o", str(file), "--images", str(painted)]) == 0
    return file


def p_ai(file: Path, photos: list[Path]) -> np.ndarray:
    with Classifier(file, device="cpu") as classifier:
        return np.array([answer.p_ai for answer in classifier.predict_many(photos, on_error="raise")])


def margins(file: Path, photos: list[Path]) -> np.ndarray:
    """Logits of AI; of both probabilities, because one that is near 1 has lost them."""
    with Classifier(file, device="cpu") as classifier:
        scores = [answer.scores for answer in classifier.predict_many(photos, on_error="raise")]
    return np.array([np.log(score["ai"]) - np.log(score["real"]) for score in scores])


def held_out(painted: Path) -> list[Path]:
    return [sample.path for sample in read_samples(painted) if sample.split == "val"]


def weights_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the weights of convolutions and the last layer, by node, through a DequantizeLinear where there is one."""
    made_by = {node.output[0]: node for node in graph.node}
    initialisers = {tensor.name: tensor for tensor in graph.initializer}
    weights = {}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm") and not node.name.startswith("evidence/"):
            name = node.input[1]
            weights[node.name] = initialisers[made_by[name].input[0] if name in made_by else name]
    return weights


@pytest.mark.parametrize(("precision", "kind"), [("int8", TensorProto.INT8), ("fp16", TensorProto.FLOAT16)])
def test_a_variant_is_what_it_says_and_answers_alike(
    *, precision: str, kind: int, network: list[str], plain: Path, painted: Path, tmp_path: Path
) -> None:
    file, report = tmp_path / "model.onnx", tmp_path / "report.json"
    command = [*network, "-o", str(file), "--precision", precision, "--images", str(painted)]
    assert main([*command, "--report", str(report)]) == 0
    model = onnx.load(file)
    weights = weights_of(model.graph)
    in_float = set(json.loads(report.read_text())["precision"]["candidates"][precision]["in_float"])
    assert len(weights) > 5
    assert {name for name, tensor in weights.items() if tensor.data_type != kind} <= in_float
    assert len(in_float & set(weights)) <= len(weights) / 2
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    added = [node.op_type for node in model.graph.node if node.name.startswith(("before/", "after/"))]
    assert [kind for kind in added if kind != "Cast"] == ["Transpose", "Mul", "Add", "Softmax"], "nothing in between"
    if precision == "int8":
        initialisers = {tensor.name: tensor for tensor in model.graph.initializer}
        quantisers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
        assert {initialisers[node.input[2]].data_type for node in quantisers} == {TensorProto.UINT8}
        assert any(onnx.numpy_helper.to_array(initialisers[node.input[2]]) > 0 for node in quantisers), "asymmetric"
        scales = [initialisers[node.input[1]] for node in model.graph.node if node.op_type == "DequantizeLinear"]
        assert max(int(np.prod(scale.dims)) for scale in scales) >= 16, "channel by channel"
    photos = held_out(painted)
    variant, fp32 = p_ai(file, photos), p_ai(plain, photos)
    assert np.ptp(fp32) > 0.9
    assert ((variant >= 0.5) == (fp32 >= 0.5)).all()
    metrics = json.loads(report.read_text())["precision"]["candidates"][precision]
    assert metrics["max_difference"] == pytest.approx(np.abs(variant - fp32).max(), abs=1e-3)
    assert metrics["batch_difference"] <= 1e-3
    with Classifier(file, device="cpu") as low_precision, Classifier(plain, device="cpu") as all_bits:
        bias = low_precision.manifest.evidence.bias  # type: ignore[union-attr]
        for photo in photos[::4]:
            actual, expected = low_precision.explain(photo), all_bits.explain(photo)
            scores, scale = actual.prediction.scores, float(np.abs(expected.evidence).max())
            log_odds = np.log(scores["ai"]) - np.log(scores["real"])
            assert actual.evidence.mean() + bias == pytest.approx(log_odds, abs=1e-4 * scale)
            assert np.abs(actual.evidence - expected.evidence).max() < 0.2 * scale


def test_the_report_says_what_was_measured(
    checkpoint: Path, painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, report_file = tmp_path / "model.onnx", tmp_path / "report.json"
    command = [str(checkpoint), "-o", str(file), "--precision", "auto", "--images", str(painted), "--bundle"]
    assert main([*command, "--report", str(report_file)]) == 0
    report = json.loads(report_file.read_text())
    document = Classifier(file).manifest.document
    assert document["export"]["precision"] == report["precision"]
    assert report["size"] == file.stat().st_size
    assert report["versions"]["onnxruntime"]
    assert report["parity"]["max_difference"] <= report["parity"]["tolerance"] == 1e-4
    assert report["parity"]["batch_sizes"] == [1, 2, 7]
    assert report["parity"]["batch_difference"] <= 1e-5
    precision = report["precision"]
    candidates = precision["candidates"]
    assert list(candidates) == ["fp32", "fp16", "int8"]
    assert candidates["fp32"]["latency_ratio"] == 1.0
    assert candidates["int8"]["calibration"] in ("minmax", "entropy", "percentile")
    assert len(candidates["int8"]["mean_difference_by_calibration"]) == 4
    assert all(metrics["auc"] > 0.9 and metrics["images"] == 16 for metrics in candidates.values())
    assert candidates["int8"]["size"] < 0.6 * candidates["fp32"]["size"]
    faster = {name: metrics["latency_ms"] for name, metrics in candidates.items() if metrics["passed"]}
    best = min(faster, key=faster.__getitem__)
    assert precision["requested"] == "auto"
    assert precision["chosen"] == (best if faster[best] * 1.1 <= faster["fp32"] else "fp32")
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()[-3:]] == list(candidates)


def test_sensitive_layers_stay_in_float_and_what_is_ruined_is_refused(
    network: list[str],
    painted: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calibrated on black pictures the first layer has no range to speak of; the pictures held out are not black."""
    images, out = tmp_path / "images", tmp_path / "out"
    shutil.copytree(painted / "val", images / "val")
    for label in ("real", "ai"):
        (images / "train" / label).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (80, 80)).save(images / "train" / label / f"{number}.png")
    command = [*network, "-o", str(out / "model.onnx"), "--images", str(images), "--precision"]
    capsys.readouterr()
    assert main([*command, "int8"]) == 0
    steps = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in steps] == ["reading", "converting", "proving", "making", "int8", "measuring"]
    weights = weights_of(onnx.load(out / "model.onnx").graph)
    document = Classifier(out / "model.onnx").manifest.document
    in_float = set(document["export"]["precision"]["candidates"]["int8"]["in_float"]) & set(weights)
    assert in_float == {name for name, tensor in weights.items() if tensor.data_type == TensorProto.FLOAT}
    assert next(iter(weights)) in in_float
    assert len(in_float) <= len(weights) / 2
    (out / "model.onnx").unlink()
    capsys.readouterr()

    monkeypatch.setattr("aiface_export.verify.precision._SPARED_BLOCKS", ())  # no layer stays in float
    assert main([*command, "int8", "--report", str(out / "report.json")]) == 1
    complaints = [line for line in capsys.readouterr().err.splitlines() if line.startswith("aiface-export: ")]
    assert len(complaints) == 1
    assert "int8 loses too much on 16 held-out photos: labels equal" in complaints[0]
    assert not list(out.iterdir())
    assert main([*command, "auto"]) == 0
    precision = Classifier(out / "model.onnx").manifest.document["export"]["precision"]
    assert precision["chosen"] != "int8"
    passed = {name: metrics["passed"] for name, metrics in precision["candidates"].items()}
    assert passed == {"fp32": True, "fp16": True, "int8": False}


def test_without_labels_auc_is_not_measured_and_without_photos_int8_is_not_made(
    network: list[str], painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.onnx"
    assert main([*network, "-o", str(file), "--precision", "int8"]) == 1
    assert "needs --images" in capsys.readouterr().err
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, photo in enumerate(held_out(painted)):
        shutil.copy(photo, flat / f"{number}.png")
    assert main([*network, "-o", str(file), "--precision", "fp16", "--images", str(flat)]) == 0
    metrics = Classifier(file).manifest.document["export"]["precision"]["candidates"]["fp16"]
    assert metrics["auc"] is None
    assert "real/ and ai/" in metrics["auc_not_measured"]


def test_calibration_makes_an_over_sure_network_less_sure(
    network: list[str], plain: Path, painted: Path, tmp_path: Path
) -> None:
    """A quarter of the pictures bear the other label, so that no calibrated probability is above 0.75."""
    labelled = tmp_path / "labelled"
    for folder, label in (("real", "real"), ("ai", "ai")):
        other = "ai" if label == "real" else "real"
        (labelled / folder).mkdir(parents=True)
        for number in range(24):
            source = painted / "train" / (other if number % 4 == 0 else label) / f"{number}.png"
            shutil.copy(source, labelled / folder / f"{number}.png")
    file = tmp_path / "model.onnx"
    assert main([*network, "-o", str(file), "--calibrate", str(labelled)]) == 0
    samples = read_samples(labelled)
    before, after = (margins(name, [sample.path for sample in samples]) for name in (plain, file))
    document: Any = Classifier(file).manifest.document
    calibration = document["calibration"]
    assert calibration["temperature"] > 1.5
    np.testing.assert_allclose(after, before / calibration["temperature"], atol=1e-3)
    wrong = np.array([-1 if sample.target else 1 for sample in samples])
    assert calibration["nll_before"] == pytest.approx(np.logaddexp(0, wrong * before).mean(), rel=1e-3)
    assert calibration["nll_after"] == pytest.approx(np.logaddexp(0, wrong * after).mean(), rel=1e-3)
    assert calibration["nll_after"] < calibration["nll_before"]
    assert calibration["ece_after"] < calibration["ece_before"]
    assert document["operating_points"].keys() == {"balanced", "low_false_alarm", "high_recall"}
    assert document["parity"]["max_difference"] <= 1e-4

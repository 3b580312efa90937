"""Weights in 16, 8, 6 and 4 bits through the command: what is inside, what is refused, what is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from aiface_export.cli import main
from aiface_export.testing.random_checkpoints import save_family
from aiface_runtime import Classifier

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
BITS = {"int8-weights": 8, "int6-weights": 6, "int4-weights": 4}
MOST = {"int8-weights": 0.03, "int6-weights": 0.03, "int4-weights": 0.1}  # mean difference of P(AI)
MATRICES = {"clip_blocks": 3 * 6, "vit": 2 * 6}  # six in each block


@pytest.fixture(scope="module", params=MATRICES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def checkpoint(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family(family, tmp_path_factory.mktemp(family), small=True)


@pytest.fixture(scope="module")
def plain(checkpoint: Path, painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file in fp32."""
    file = tmp_path_factory.mktemp("plain") / "plain.onnx"
    assert main([str(checkpoint), "-o", str(file), "--images", str(painted)]) == 0
    return file


def p_ai(file: Path, photos: list[Path]) -> np.ndarray:
    with Classifier(file, device="cpu") as classifier:
        return np.array([answer.p_ai for answer in classifier.predict_many(photos, on_error="raise")])


def float_weights(model: onnx.ModelProto) -> list[str]:
    """Return the kinds of node that take a float32 matrix or kernel from the file."""
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) >= 2}
    with_weights = (node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul", "MatMulNBits"))
    return [node.op_type for node in with_weights if kinds.get(node.input[1]) == TensorProto.FLOAT]


@pytest.mark.parametrize("precision", BITS)
def test_only_the_matrices_of_the_blocks_are_in_fewer_bits(
    *, precision: str, family: str, checkpoint: Path, plain: Path, painted: Path, tmp_path: Path
) -> None:
    file, report = tmp_path / "model.onnx", tmp_path / "report.json"
    command = [str(checkpoint), "-o", str(file), "--images", str(painted), "--precision", precision]
    assert main([*command, "--report", str(report), "--bundle"]) == 0
    candidate = json.loads(report.read_text())["precision"]["candidates"][precision]
    spared = candidate.get("in_int8", [])
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    in_8_bits, in_4_bits = kinds.count("DequantizeLinear"), kinds.count("MatMulNBits")
    in_fewer = sum(tensor.name.endswith("/packed") for tensor in model.graph.initializer)
    assert in_4_bits == (in_fewer if precision == "int4-weights" else 0)
    assert in_8_bits + in_fewer == MATRICES[family]
    assert in_8_bits == (MATRICES[family] if precision == "int8-weights" else len(spared))
    heads = ["Gemm", "Conv"] if family == "clip_blocks" else ["Gemm"]
    embedding = ["Conv"] if precision == "int8-weights" else []  # of patches; in float16 else
    assert sorted(float_weights(model)) == sorted([*embedding, *heads])
    assert file.stat().st_size < plain.stat().st_size
    photos = sorted((painted / "val").glob("*/*.png"))
    difference = np.abs(p_ai(file, photos) - p_ai(plain, photos))
    assert 0 < difference.mean() < MOST[precision]
    assert candidate["weight_bits"] == BITS[precision]
    assert candidate.get("calibration_images", 0) == (0 if precision == "int8-weights" else 48), "those of train"
    assert candidate["max_difference"] == pytest.approx(difference.max(), abs=1e-3)
    assert candidate["label_agreement"] >= 0.99
    assert candidate["batch_difference"] <= 1e-3
    assert ("face_agreement" in candidate) == (family == "clip_blocks")
    assert f"## {precision} against the checkpoint" in file.with_suffix(".md").read_text()


def test_weights_of_16_bits_halve_a_file_and_leave_its_answers(painted: Path, tmp_path: Path) -> None:
    checkpoint = save_family("efficientnet_lite", tmp_path / "lite", small=True)
    files = {precision: tmp_path / f"{precision}.onnx" for precision in ("fp32", "fp16-weights")}
    for precision, file in files.items():
        assert main([str(checkpoint), "-o", str(file), "--images", str(painted), "--precision", precision]) == 0
    model = onnx.load(files["fp16-weights"])
    onnx.checker.check_model(model, full_check=True)
    assert float_weights(model).count("Conv") == 2, "the face head, and the evidence's"
    weights = sum(np.prod(tensor.dims) for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT16)
    assert files["fp32"].stat().st_size - files["fp16-weights"].stat().st_size == pytest.approx(2 * weights, rel=0.05)
    photos = sorted((painted / "val").glob("*/*.png"))
    assert p_ai(files["fp16-weights"], photos) == pytest.approx(p_ai(files["fp32"], photos), abs=1e-2)
    with Classifier(files["fp16-weights"], device="cpu") as classifier:
        explanation = classifier.explain(photos[0])
    margin = explanation.evidence.mean() + explanation.bias
    assert 1 / (1 + np.exp(-margin)) == pytest.approx(explanation.prediction.p_ai, abs=1e-5), "the map still adds up"


def test_what_4_bits_ruin_is_refused(
    painted: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aiface_export.verify.precision._SPARED_BLOCKS", ())  # no layer has 8 bits
    monkeypatch.setattr("aiface_export.pipeline._ROUNDING", 0)  # with photos to round by, it would pass
    source, file = save_family("vit", tmp_path / "vit", small=True), tmp_path / "model.onnx"
    command = [str(source), "-o", str(file), "--images", str(painted), "--precision", "int4-weights"]
    assert main(command) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "looking for the layers to leave in 8 bits" in lines[-2]
    assert lines[-1].startswith("aiface-export: int4-weights loses too much on 16 held-out photos: labels equal")
    assert [each.name for each in tmp_path.iterdir()] == ["vit"]

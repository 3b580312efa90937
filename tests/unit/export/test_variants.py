"""Variants of a hand-written graph: what is measured, what passes, which layers stay in float, what is reported."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from aiface_export.errors import PrecisionError
from aiface_export.graph.assemble import assemble
from aiface_export.options import PRECISIONS
from aiface_export.verify.evaluator import VariantEvaluator, VariantMetrics, probabilities_of
from aiface_export.verify.precision import Candidate, _fastest, _rank_blocks, _spare_blocks, choose
from aiface_export.verify.precision_report import CandidateReport, PrecisionReport
from aiface_export.verify.variants import (
    Fp16Variant,
    Int8Variant,
    Spared,
    fit_int8,
    open_variant,
)
from tests.support.tiny_source import SIDE, tiny_source

CHAIN = 16  # layers of the graph that is damaged layer by layer
HEAD = ("after/softmax", "last")  # its nodes that stay in float
SENSITIVE = ("layer 3", "layer 9")
METRICS = VariantMetrics(
    images=100, max_difference=0.1, mean_difference=0.01, label_agreement=1.0, auc=0.9, auc_of_original=0.9
)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (48, 1, 1, 3), dtype=np.uint8)
    return np.broadcast_to(coarse, (48, SIDE, SIDE, 3)).copy()


@pytest.fixture(scope="module")
def fp32() -> onnx.ModelProto:
    source = tiny_source()
    return assemble(source.exporters()["by hand"](), source)


@pytest.fixture(scope="module")
def evaluator(fp32: onnx.ModelProto, pixels: np.ndarray) -> VariantEvaluator:
    original = probabilities_of(fp32, pixels)
    return VariantEvaluator(pixels, original, [1], (original[:, 1] > 0.5).astype(int))


def test_metrics_of_answers_that_are_known() -> None:
    original = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    evaluator = VariantEvaluator(np.empty((4, 1, 1, 3), np.uint8), original, [1], np.array([0, 0, 1, 1]))
    answers = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [np.nan, 0.9]])
    metrics = evaluator.metrics(answers)
    assert metrics.images == 4
    assert metrics.max_difference == pytest.approx(0.4)
    assert metrics.mean_difference == pytest.approx((0 + 0.4 + 0.2 + 0.1) / 4)
    assert metrics.label_agreement == 0.25, "what is not finite disagrees, and so does a tie that falls the other way"
    assert (metrics.auc, metrics.auc_of_original) == (0.75, 1.0)
    assert "auc_not_measured" not in metrics.to_json()


def test_without_labels_auc_is_not_measured() -> None:
    original = np.array([[0.9, 0.1], [0.2, 0.8]])
    metrics = VariantEvaluator(np.empty((2, 1, 1, 3), np.uint8), original, [1], None, "a folder").metrics(original)
    assert (metrics.to_json()["auc"], metrics.to_json()["auc_of_original"]) == (None, None)
    assert metrics.to_json()["auc_not_measured"] == "a folder"
    assert Candidate(onnx.ModelProto(), metrics).passes(Candidate(onnx.ModelProto(), metrics))


@pytest.mark.parametrize(
    ("agreement", "auc", "passes"),
    [(1.0, 0.9, True), (0.99, 0.8981, True), (0.98, 0.9, False), (1.0, 0.8979, False), (1.0, 0.95, True)],
)
def test_the_gate(*, agreement: float, auc: float, passes: bool) -> None:
    values = {**METRICS.__dict__, "label_agreement": agreement, "auc": auc}
    fp32 = Candidate(onnx.ModelProto(), METRICS)
    assert Candidate(onnx.ModelProto(), VariantMetrics(**values)).passes(fp32) == passes


def test_fp16_makes_weights_of_16_bits(fp32: onnx.ModelProto, evaluator: VariantEvaluator) -> None:
    with open_variant("fp16", fp32, evaluator.pixels[:0]) as variant:
        assert isinstance(variant, Fp16Variant)
        graph = variant.make()
    assert variant.settings is None
    assert evaluator.measure(graph).max_difference < 1e-2
    assert evaluator.measure(graph).label_agreement == 1.0


def test_int8_takes_the_method_of_the_least_error(fp32: onnx.ModelProto, pixels: np.ndarray, tmp_path: Path) -> None:
    variant = fit_int8(fp32, pixels[:16], tmp_path)
    assert isinstance(variant, Int8Variant)
    assert len(variant.errors) == 4, "three methods in 8 bits, the best of them in 7 too"
    assert variant.errors[variant.method, variant.bits] == min(variant.errors.values())
    settings = json.loads(json.dumps(variant.settings.to_json()))
    assert settings.keys() == {"calibration", "weight_bits", "calibration_images", "mean_difference_by_calibration"}
    assert settings["calibration_images"] == 16
    assert settings["mean_difference_by_calibration"][f"{variant.method}, {variant.bits} bits"] == min(
        variant.errors.values()
    )
    error = np.abs(probabilities_of(variant.make(), pixels[:16]) - probabilities_of(fp32, pixels[:16])).mean()
    assert error == pytest.approx(variant.errors[variant.method, variant.bits], abs=1e-7)


@pytest.mark.parametrize("requested", [name for name in PRECISIONS if not name.endswith("-weights")])
def test_what_is_requested_is_made(
    requested: str, fp32: onnx.ModelProto, evaluator: VariantEvaluator, pixels: np.ndarray
) -> None:
    choice = choose(requested, fp32, evaluator, pixels[:16], lambda _: None)
    report = choice.report.to_json("made")
    expected = ["fp32", "fp16", "int8"] if requested == "auto" else list(dict.fromkeys(["fp32", requested]))
    assert list(report["candidates"]) == expected
    assert report["chosen"] == requested or requested == "auto"
    assert report["candidates"]["fp32"]["latency_ratio"] == 1.0
    assert choice.report.candidates[choice.report.chosen].size == choice.graph.ByteSize()


@pytest.mark.parametrize(("requested", "bits"), [("fp16-weights", 16), ("int8-weights", 8), ("int4-weights", 4)])
def test_weights_alone_are_put_into_fewer_bits(requested: str, bits: int, pixels: np.ndarray) -> None:
    graph = chain()
    evaluator = VariantEvaluator(pixels, probabilities_of(graph, pixels), [1], None, "made")
    choice = choose(requested, graph, evaluator, pixels[:0], lambda _: None)
    onnx.checker.check_model(choice.graph, full_check=True)
    candidate = choice.report.to_json("made")["candidates"][requested]
    assert candidate["weight_bits"] == bits
    assert candidate["in_float"] == list(HEAD)
    assert candidate["max_difference"] < 1e-5, "the matrices are identities, which any number of bits holds"
    stored = {tensor.name: tensor.data_type for tensor in choice.graph.graph.initializer}
    kept = {16: "fp16", 8: "int8"}.get(bits, "packed")
    assert sum(name.startswith("weights") and name.endswith(f"/{kept}") for name in stored) == CHAIN
    assert [name for name, kind in stored.items() if kind == TensorProto.FLOAT and "/" not in name] == ["last"]


def test_what_is_too_sensitive_for_4_bits_has_8() -> None:
    graph = chain()
    with open_variant("int4-weights", graph, np.empty((0, SIDE, SIDE, 3), np.uint8)) as variant:
        made = variant.make(["layer 3", "last"])
    weights = {tensor.name: tensor.data_type for tensor in made.graph.initializer}
    assert weights["weights 3/int8"] == TensorProto.INT8
    assert weights["last"] == TensorProto.FLOAT
    assert [node.op_type for node in made.graph.node].count("MatMulNBits") == CHAIN - 1
    assert variant.spared == "in_int8"


def test_a_network_of_convolutions_has_no_matrices(fp32: onnx.ModelProto, evaluator: VariantEvaluator) -> None:
    with pytest.raises(PrecisionError, match=r"^int4-weights cannot be made of .*no matrix product with constant"):
        choose("int4-weights", fp32, evaluator, evaluator.pixels[:0], lambda _: None)


def test_what_cannot_be_made_is_a_problem_of_auto_and_an_error_else(
    fp32: onnx.ModelProto, evaluator: VariantEvaluator
) -> None:
    """int8 without a photo to calibrate on."""
    none = evaluator.pixels[:0]
    with pytest.raises(PrecisionError, match="int8 cannot be made of this network"):
        choose("int8", fp32, evaluator, none, lambda _: None)
    report = choose("auto", fp32, evaluator, none, lambda _: None).report.to_json("made")
    assert report["candidates"]["int8"]["passed"] is False
    assert report["candidates"]["int8"]["problem"].startswith("int8 cannot be made")


def test_faster_by_noise_is_not_faster() -> None:
    assert _fastest(["fp32", "int8"], {"fp32": 1.0, "int8": 0.95}) == "fp32"
    assert _fastest(["fp32", "fp16", "int8"], {"fp32": 1.0, "fp16": 0.8, "int8": 0.9}) == "fp16"


def chain() -> onnx.ModelProto:
    """Sixteen layers that pass the mean colour on, then the labels' logits."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], name="before/cast", to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["x 0"], name="before/mean", keepdims=0),
    ]
    nodes += [
        helper.make_node("MatMul", [f"x {n}", f"weights {n}"], [f"x {n + 1}"], name=f"layer {n}") for n in range(CHAIN)
    ]
    nodes += [
        helper.make_node("MatMul", [f"x {CHAIN}", "last"], ["logits"], name="last"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], name="after/softmax", axis=-1),
    ]
    last = np.array([[1, -1], [-1, 1], [0, 0]], dtype=np.float32) / 40
    constants = {"axes": np.array([1, 2]), "last": last} | {
        f"weights {n}": np.eye(3, dtype=np.float32) for n in range(CHAIN)
    }
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@dataclass(frozen=True)
class Coarse:
    """A way to fewer bits that ruins `SENSITIVE` layers and hardly touches the others."""

    spared: ClassVar[Spared] = "in_float"
    graph: onnx.ModelProto

    @property
    def layers(self) -> list[list[str]]:
        return [[f"layer {n}"] for n in range(CHAIN)]

    @property
    def settings(self) -> None:
        return None

    def make(self, in_float: Collection[str] = ()) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self.graph)
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        for number in range(CHAIN):
            if f"layer {number}" not in in_float:
                factor = (
                    -1 if f"layer {number}" == SENSITIVE[0] else 0.3 if f"layer {number}" == SENSITIVE[1] else 0.999
                )
                tensor = tensors[f"weights {number}"]
                tensor.CopyFrom(numpy_helper.from_array(np.float32(factor) * np.eye(3, dtype=np.float32), tensor.name))
        return model


@pytest.fixture(scope="module")
def damaged(pixels: np.ndarray) -> tuple[Coarse, VariantEvaluator, Candidate]:
    graph = chain()
    original = probabilities_of(graph, pixels)
    evaluator = VariantEvaluator(pixels, original, [1], None, "made")
    return Coarse(graph), evaluator, Candidate(graph, evaluator.measure(graph))


def test_blocks_are_ranked_by_the_error_that_each_makes_alone(
    damaged: tuple[Coarse, VariantEvaluator, Candidate], pixels: np.ndarray
) -> None:
    variant, _, fp32 = damaged
    blocks = _rank_blocks(variant, fp32.graph, pixels[:8])
    assert [block[0] for block in blocks[:2]] == list(SENSITIVE)
    assert sorted(node for block in blocks for node in block) == sorted(f"layer {n}" for n in range(CHAIN))


def test_as_few_blocks_as_needed_stay_in_float(damaged: tuple[Coarse, VariantEvaluator, Candidate]) -> None:
    variant, evaluator, fp32 = damaged
    ruined = Candidate(variant.make(), evaluator.measure(variant.make()))
    assert not ruined.passes(fp32)
    insensitive = [[f"layer {n}"] for n in range(CHAIN) if f"layer {n}" not in SENSITIVE]
    chosen = _spare_blocks(variant, [[SENSITIVE[0]], [SENSITIVE[1]], *insensitive], ruined, fp32, evaluator)
    assert chosen.passes(fp32)
    assert chosen.in_float == (*HEAD, SENSITIVE[0]), "the second one does not turn labels"
    late = _spare_blocks(variant, [*insensitive[:2], [SENSITIVE[0]], *insensitive[2:]], ruined, fp32, evaluator)
    assert late.in_float == (*HEAD, "layer 0", "layer 1", SENSITIVE[0], "layer 2"), "four are tried after two"


def test_at_most_half_stays_in_float(damaged: tuple[Coarse, VariantEvaluator, Candidate]) -> None:
    variant, evaluator, fp32 = damaged
    ruined = Candidate(variant.make(), evaluator.measure(variant.make()))
    insensitive = [[f"layer {n}"] for n in range(CHAIN) if f"layer {n}" != SENSITIVE[0]]
    refused = _spare_blocks(variant, [*insensitive, [SENSITIVE[0]]], ruined, fp32, evaluator)
    assert not refused.passes(fp32)
    assert len(refused.in_float) == len(HEAD) + CHAIN // 2
    assert _spare_blocks(variant, insensitive[:1], ruined, fp32, evaluator) is ruined, "one block has no half"


def test_the_report_has_the_manifests_keys() -> None:
    fp32 = CandidateReport(passed=True, metrics=METRICS, size=10, latency_ms=2.0, latency_ratio=1.0)
    int8 = CandidateReport(passed=True, metrics=METRICS, size=3, latency_ms=1.0, latency_ratio=0.5, in_float=("a",))
    report = PrecisionReport("auto", "int8", {"fp32": fp32, "int8": int8}, {"fp16": "fp16 cannot be made"})
    written = report.with_batch_difference(1e-6).to_json("16 photos")
    assert json.loads(json.dumps(written)) == written
    assert written.keys() == {"requested", "chosen", "gate", "candidates", "held_out"}
    assert written["gate"] == {"label_agreement_from": 0.99, "auc_fall_to": 0.002}
    assert list(written["candidates"]) == ["fp32", "int8", "fp16"]
    assert written["candidates"]["fp16"] == {"passed": False, "problem": "fp16 cannot be made"}
    assert written["candidates"]["int8"] == {
        "passed": True,
        **METRICS.to_json(),
        "size": 3,
        "latency_ms": 1.0,
        "latency_ratio": 0.5,
        "in_float": ["a"],
        "batch_difference": 1e-6,
    }
    assert "batch_difference" not in report.to_json("16 photos")["candidates"]["int8"]

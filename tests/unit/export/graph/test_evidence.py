"""Evidence is exact where a network ends in an average and linear layers, and absent elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from aiface_export.graph.evidence import add_evidence, describe, margin_weights
from aiface_export.graph.heads import head_nodes
from aiface_export.graph.linear_head import find_linear_head
from aiface_export.graph.session import open_session

CHANNELS, HIDDEN = 6, 5


Layer = tuple[str, Sequence[Any], dict[str, Any]]
RNG = np.random.default_rng(1)
STEM: list[Layer] = [
    ("Transpose", [], {"perm": [0, 3, 1, 2]}),
    ("Cast", [], {"to": TensorProto.FLOAT}),
    ("Conv", [RNG.normal(0, 0.002, (CHANNELS, 3, 8, 8))], {"strides": [8, 8]}),
    ("Relu", [], {}),
]


def network(*layers: Layer, side: int = 32) -> onnx.ModelProto:
    """Build features of 4 x 4 cells, and layers from them to probabilities.

    Arrays among a layer's inputs become weights, strings name tensors.
    """
    nodes, weights, tensor = [], [], "image"
    for number, (op, inputs, options) in enumerate([*STEM, *layers, ("Softmax", [], {})]):
        names = []
        for index, value in enumerate(inputs):
            if isinstance(value, str):
                names.append(value)
                continue
            names.append(f"{number}.{index}")
            array = np.asarray(value)
            array = array.astype(np.float32) if array.dtype == float else array
            weights.append(numpy_helper.from_array(array, names[-1]))
        output = "probabilities" if op == "Softmax" else f"t{number}"
        nodes.append(helper.make_node(op, [tensor, *names], [output], name=output, **options))
        tensor = output
    labels = 3 if any(3 in np.shape(value) for value in layers[-1][1]) else 2
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", side, side, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", labels])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


POOL = ("GlobalAveragePool", [], {})
FLAT = ("Flatten", [], {"axis": 1})
HEAD = ("Gemm", [normal(CHANNELS, 2), normal(2)], {})
LINEAR = {
    "a Gemm, scaled and turned": (POOL, FLAT, ("Gemm", [normal(2, CHANNELS), normal(2)], {"transB": 1, "alpha": 0.5})),
    "MatMul, Add and a temperature": (
        ("ReduceMean", [np.array([-1, -2])], {"keepdims": 0}),
        ("MatMul", [normal(CHANNELS, 2)], {}),
        ("Add", [normal(2)], {}),
        ("Mul", [np.array([0.7])], {}),
    ),
    "a 1x1 convolution": (POOL, ("Conv", [normal(2, CHANNELS, 1, 1), normal(2)], {}), FLAT),
    "two linear layers": (POOL, FLAT, ("MatMul", [normal(CHANNELS, HIDDEN)], {}), ("Gemm", [normal(HIDDEN, 2)], {})),
    "channels last": (
        ("Transpose", [], {"perm": [0, 2, 3, 1]}),
        ("ReduceMean", [np.array([1, 2])], {"keepdims": 0}),
        HEAD,
    ),
    "a single logit": (POOL, FLAT, ("Gemm", [normal(CHANNELS, 1)], {}), ("MatMul", [np.array([[0.0, 1.0]])], {})),
    "three labels": (POOL, FLAT, ("Gemm", [normal(CHANNELS, 3), normal(3)], {})),
    "a window over all": (("AveragePool", [], {"kernel_shape": [4, 4]}), FLAT, HEAD),
}
OTHERS = {
    "a hidden layer": (POOL, FLAT, ("MatMul", [normal(CHANNELS, CHANNELS)], {}), ("Relu", [], {}), HEAD),
    "a normalisation": (POOL, FLAT, ("LayerNormalization", [np.ones(CHANNELS), np.zeros(CHANNELS)], {}), HEAD),
    "a limit": (POOL, FLAT, ("Clip", [np.array(0.0), np.array(6.0)], {}), HEAD),
    "a way around the average": (POOL, ("Add", ["t3"], {}), FLAT, ("MatMul", [normal(CHANNELS * 16, 2)], {})),
    "a maximum": (("GlobalMaxPool", [], {}), FLAT, HEAD),
    "a window over a part": (("AveragePool", [], {"kernel_shape": [3, 3], "strides": [2, 2]}), FLAT, HEAD),
    "an average over the pictures": (
        FLAT,
        ("ReduceMean", [np.array([0])], {"keepdims": 1}),
        ("Gemm", [normal(CHANNELS * 16, 2)], {}),
    ),
    "no average": (FLAT, ("Gemm", [normal(CHANNELS * 16, 2)], {})),
}


PHOTOS = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
PHOTOS[1, :16] = 255


def run(graph: onnx.ModelProto, photos: np.ndarray, *outputs: str) -> list[np.ndarray]:
    answers: list[np.ndarray] = open_session(graph).run(list(outputs), {"image": photos})
    return answers


def check_that_contributions_add_up(graph: onnx.ModelProto, num_labels: int, ai: list[int]) -> None:
    add_evidence(graph, num_labels, ai)
    onnx.checker.check_model(graph, full_check=True)
    described = describe(graph, num_labels, ai)
    assert described is not None
    assert (described["height"], described["width"]) == (4, 4)
    probabilities, evidence = run(graph, PHOTOS, "probabilities", "evidence")
    logs = np.log(probabilities.astype(np.float64))
    margin = logs @ margin_weights(num_labels, ai)
    if num_labels == 2:
        np.testing.assert_allclose(margin, logs[:, ai[0]] - logs[:, 1 - ai[0]])
    np.testing.assert_allclose(evidence.mean(axis=(1, 2)) + described["bias"], margin, atol=1e-4)
    assert np.ptp(margin) > 0.01
    changed_photos = PHOTOS.copy()
    changed_photos[:, 8:16, 24:] = 0  # a cell sees nothing else here, so nothing else changes
    (changed,) = run(graph, changed_photos, "evidence")
    assert {(row, column) for _, row, column in np.argwhere(changed != evidence)} == {(1, 3)}


@pytest.mark.parametrize("ai", [[0], [1]])
@pytest.mark.parametrize("name", LINEAR)
def test_contributions_add_up_to_the_log_odds(name: str, ai: list[int]) -> None:
    check_that_contributions_add_up(network(*LINEAR[name]), 3 if name == "three labels" else 2, ai)


def test_a_shape_computed_from_the_pictures_batch_is_no_obstacle() -> None:
    """Build a graph as PyTorch's exporter writes a Swin."""
    graph = network(POOL, ("Reshape", ["sides"], {}), HEAD)
    graph.graph.initializer.append(numpy_helper.from_array(np.array([CHANNELS]), "channels"))
    graph.graph.node.insert(0, helper.make_node("Shape", ["image"], ["batch"], name="batch", start=0, end=1))
    graph.graph.node.insert(1, helper.make_node("Concat", ["batch", "channels"], ["sides"], name="sides", axis=0))
    check_that_contributions_add_up(graph, 2, [1])


@pytest.mark.parametrize("name", LINEAR)
def test_the_nodes_from_the_average_on_stay_in_float(name: str) -> None:
    graph = network(*LINEAR[name])
    with_weights = [node.name for node in graph.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    last_layer = head_nodes(graph)
    assert [name for name in last_layer if name in with_weights] == with_weights[-1:], "without evidence that alone"
    first = next(
        index for index, node in enumerate(graph.graph.node) if "Pool" in node.op_type or "Mean" in node.op_type
    )
    expected = [node.name for node in graph.graph.node][first:]
    add_evidence(graph, 3 if name == "three labels" else 2, [1])
    assert head_nodes(graph) == expected


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_sum_over_cells_is_left_alone(name: str) -> None:
    graph = network(*OTHERS[name])
    before = graph.SerializeToString()
    add_evidence(graph, 2, [1])
    assert graph.SerializeToString() == before
    assert describe(graph, 2, [1]) is None


def test_weights_are_exact_beside_a_large_bias() -> None:
    weights, bias = normal(CHANNELS, 2), np.array([1000.0, -1000.0])
    head = find_linear_head(network(POOL, FLAT, ("Gemm", [weights, bias], {})), margin_weights(2, [0]))
    assert head is not None
    assert (head.bias, head.axis, head.shape, head.cells) == (2000.0, 1, (CHANNELS, 4, 4), (4, 4))
    np.testing.assert_allclose(head.weights, weights[:, 0] - weights[:, 1], rtol=1e-6, atol=1e-6)

"""The assembled graph does to bytes what the source's framework does to floats."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from aiface_export.checkpoint_record import Channels
from aiface_export.graph.assemble import assemble
from aiface_export.graph.session import open_session
from aiface_export.source import Head, Layout
from tests.support.graph_source import PREPROCESSING, SIDE, graph_source

PHOTOS = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
INPUTS = SIDE * SIDE * 3


def weights(num_outputs: int) -> np.ndarray:
    return np.random.default_rng(num_outputs).normal(0, 0.1, (INPUTS, num_outputs)).astype(np.float32)


def network(num_outputs: int, layout: Layout, last: tuple[str, ...] = ()) -> onnx.ModelProto:
    """Build a linear layer on flattened float pixels, and the operators `last` behind it."""
    ops = ["Flatten", "MatMul", *last]
    tensors = ["floats", *(f"t{number}" for number in range(len(ops)))]
    nodes = [
        helper.make_node(op, [tensor, "weights"] if op == "MatMul" else [tensor], [output])
        for op, tensor, output in zip(ops, tensors, tensors[1:], strict=False)
    ]
    sides = [3, SIDE, SIDE] if layout == "nchw" else [SIDE, SIDE, 3]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("floats", TensorProto.FLOAT, ["batch", *sides])],
        [helper.make_tensor_value_info(tensors[-1], TensorProto.FLOAT, ["batch", num_outputs])],
        [numpy_helper.from_array(weights(num_outputs), "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def expected_logits(num_outputs: int, channels: Channels, layout: Layout) -> np.ndarray:
    """Compute in numpy what a framework would; a single logit is the second label's, beside 0."""
    ordered = PHOTOS[..., ::-1] if channels == "bgr" else PHOTOS
    floats = ordered * PREPROCESSING.scale + PREPROCESSING.offset
    rows = (floats.transpose(0, 3, 1, 2) if layout == "nchw" else floats).reshape(len(PHOTOS), -1)
    logits = rows @ weights(num_outputs)
    return np.concatenate([np.zeros_like(logits), logits], axis=1) if num_outputs == 1 else logits


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize(
    ("num_outputs", "head", "last"),
    [
        (2, "logits", ()),
        (1, "logits", ()),
        (2, "probabilities", ("Softmax",)),
        (1, "probabilities", ("Sigmoid",)),
        (2, "probabilities", ("Softmax", "Identity")),
        (1, "probabilities", ("Sigmoid", "Identity")),
    ],
)
def test_probabilities_are_those_of_the_network(
    *, num_outputs: int, head: Head, last: tuple[str, ...], channels: Channels, layout: Layout, temperature: float
) -> None:
    graph = assemble(
        network(num_outputs, layout, last), graph_source({}, head, channels=channels, layout=layout), temperature
    )
    onnx.checker.check_model(graph, full_check=True)
    (actual,) = open_session(graph).run(["probabilities"], {"image": PHOTOS})
    expected = softmax(expected_logits(num_outputs, channels, layout) / temperature)
    assert np.ptp(np.log(expected[:, 0] / expected[:, 1])) > 0.5, "equal answers would prove nothing"
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_the_nodes_added_are_known_by_their_names() -> None:
    graph = assemble(network(2, "nchw"), graph_source({}, channels="bgr"), 2.0)
    names = [node.name for node in graph.graph.node]
    assert [name for name in names if name.startswith("before/")] == names[:5]
    assert [name for name in names if name.startswith("after/")] == names[-2:]
    assert all(names)
    assert [node.op_type for node in graph.graph.node][:2] == ["Transpose", "Gather"], (
        "bytes are transposed, not floats"
    )

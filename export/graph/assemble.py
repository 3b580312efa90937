"""Pre- and post-processing as nodes of the graph: uint8 photos in, probabilities out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxslim
from onnx import NodeProto, TensorProto, compose, helper, numpy_helper

from aiface_runtime.manifest import IMAGE, PROBABILITIES

from ..source import Preprocessing, Source
from .evidence import add_evidence

BEFORE, AFTER = "before/", "after/"  # prefixes of the names of the nodes added here
SQUASHING = ("Softmax", "Sigmoid")  # operators that turn logits into probabilities
_LEAST_PROBABILITY = 1e-12  # what float32 can tell from 0 without its logarithm running off


def assemble(graph: onnx.ModelProto, source: Source, temperature: float = 1.0) -> onnx.ModelProto:
    """Put normalisation before a network and a calibrated softmax behind it.

    The uint8 tensor is transposed first and scaled in NCHW: the other way round onnxruntime loses its layout fusion and
    a small network's latency doubles.

    Args:
        graph: What one of the source's exporters made.
        source: Gives the input's size and layout, the normalisation and the labels.
        temperature: What logits are divided by, above 0.

    Returns:
        From uint8 RGB `image [N, height, width, 3]` to float32 `probabilities [N, C]` and, where `add_evidence` can,
        `evidence [N, h, w]`.
    """
    opset, ir = graph.opset_import, graph.ir_version
    columns = len(source.labels)
    single = columns == 2 and _columns(graph) == 1
    is_logits = _uncover_logits(graph) if source.head == "probabilities" else True
    first = _model(_before(source.preprocessing), opset, ir)
    last = _model(_after(columns, single=single, is_logits=is_logits, temperature=temperature), opset, ir)
    network_input, network_output = graph.graph.input[0].name, graph.graph.output[0].name
    network = compose.add_prefix(graph, "net/")
    whole = compose.merge_models(first, network, [("pixels", f"net/{network_input}")])
    whole = compose.merge_models(whole, last, [(f"net/{network_output}", "answers")], outputs=[PROBABILITIES])
    slim: onnx.ModelProto = onnxslim.slim(whole)
    for number, node in enumerate(slim.graph.node):
        node.name = node.name or f"net/{node.op_type} {number}"  # by which quantisation tells nodes apart
    versions = {entry.domain: entry.version for entry in slim.opset_import}  # merging repeats them
    del slim.opset_import[:]
    slim.opset_import.extend(helper.make_opsetid(*entry) for entry in versions.items())
    add_evidence(slim, columns, source.ai_indices, (source.preprocessing.height, source.preprocessing.width))
    return slim


def _model(graph: onnx.GraphProto, opset: object, ir: int) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=opset, ir_version=ir)


def _columns(graph: onnx.ModelProto) -> int:
    shape = graph.graph.output[0].type.tensor_type.shape.dim
    return int(shape[-1].dim_value) if shape else 0


def _uncover_logits(graph: onnx.ModelProto) -> bool:
    """Cut off the last softmax or sigmoid; False where the graph does not end in one."""
    output = graph.graph.output[0]
    last = next(node for node in graph.graph.node if output.name in node.output)
    if last.op_type not in SQUASHING:
        return False
    graph.graph.node.remove(last)
    output.name = last.input[0]
    return True


def _before(preprocessing: Preprocessing) -> onnx.GraphProto:
    height, width = preprocessing.height, preprocessing.width
    names = iter(["nchw", "ordered", "levels", "scaled", "normalised", "pixels"])
    nodes: list[NodeProto] = []
    tensor = IMAGE

    def add(kind: str, *constants: str, **attributes: Any) -> None:
        nonlocal tensor
        made = next(names)
        node = helper.make_node(kind, [tensor, *constants], [made], name=BEFORE + made, **attributes)
        nodes.append(node)
        tensor = made

    add("Transpose", perm=[0, 3, 1, 2])
    if preprocessing.channels == "bgr":
        add("Gather", "order", axis=1)
    add("Cast", to=TensorProto.FLOAT)
    add("Mul", "scale")
    add("Add", "offset")
    if preprocessing.layout == "nhwc":
        add("Transpose", perm=[0, 2, 3, 1])
    nodes[-1].output[0] = "pixels"
    sides = [3, height, width] if preprocessing.layout == "nchw" else [height, width, 3]
    constants = [
        numpy_helper.from_array(preprocessing.scale.reshape(1, 3, 1, 1), "scale"),
        numpy_helper.from_array(preprocessing.offset.reshape(1, 3, 1, 1), "offset"),
        numpy_helper.from_array(np.array([2, 1, 0], dtype=np.int64), "order"),
    ]
    return helper.make_graph(
        nodes,
        "before",
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["batch", height, width, 3])],
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", *sides])],
        [constant for constant in constants if any(constant.name in node.input for node in nodes)],
    )


def _after(columns: int, *, single: bool, is_logits: bool, temperature: float) -> onnx.GraphProto:
    """From the network's answers to probabilities; a single answer is the second label's."""
    nodes: list[NodeProto] = []
    constants: dict[str, float | list[float] | list[list[float]]] = {}
    tensor = "answers"

    def add(kind: str, *inputs: str, **attributes: Any) -> None:
        nonlocal tensor
        made = f"after {len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [made], name=AFTER + made, **attributes))
        tensor = made

    if single and not is_logits:
        constants["one"] = [1.0]
        add("Sub", "one", tensor)
        add("Concat", tensor, "answers", axis=-1)
    if single and is_logits:
        constants["second"] = [[0.0, 1.0]]  # softmax of (0, logit) is (1 - sigmoid, sigmoid)
        add("MatMul", tensor, "second")
    if not is_logits:
        constants["least"], constants["most"] = _LEAST_PROBABILITY, 1.0
        add("Clip", tensor, "least", "most")
        add("Log", tensor)
    if temperature != 1.0:
        constants["sharpness"] = [1 / temperature]
        add("Mul", tensor, "sharpness")
    add("Softmax", tensor, axis=-1)
    nodes[-1].output[0] = PROBABILITIES
    return helper.make_graph(
        nodes,
        "after",
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, ["batch", 1 if single else columns])],
        [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["batch", columns])],
        [numpy_helper.from_array(np.array(value, dtype=np.float32), name) for name, value in constants.items()],
    )

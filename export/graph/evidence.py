"""Which places of a photo speak for AI: a second output, where a network ends in an average and one linear layer.

There the log-odds are a sum over places. With features `f(place)`, averaged, and a head of weights `w` and bias `b`,

    margin = w · mean f(place) + b = mean (w · f(place)) + b,

so `w · f(place)` is exactly what a place contributes: class activation mapping (Zhou et al., "Learning Deep Features
for Discriminative Localization", 2016) of the difference between the logits that mean AI and the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from aiface_runtime.manifest import EVIDENCE, IMAGE, PROBABILITIES

PREFIX = "evidence/"  # of the names of the nodes added here
_AVERAGES = ("GlobalAveragePool", "AveragePool", "ReduceMean")
# What leaves a vector's numbers in order; torch's exporter writes as_strided as a Gather of all of them. Whether one
# chooses instead is left to _is_sum.
_SAME_ORDER = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Gather")
_TOLERANCE = 1e-4  # on the margin, in units of the largest contribution
_TRIED_ON = 4  # pictures

_Vector: TypeAlias = NDArray[np.float64]
_Constants: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass
class _Head:
    """The margin as a linear function of a tensor: `weights · tensor + bias`.

    Attributes:
        tensor: Its name.
        weights: float64, one a channel.
        bias: What the margin is where the tensor is 0.
        nodes: Between the tensor and the margin, the last first.
    """

    tensor: str
    weights: _Vector
    bias: float = 0.0
    nodes: list[NodeProto] = field(default_factory=list)


def margin_weights(columns: int, ai_indices: Sequence[int]) -> _Vector:
    """What turns logits or log-probabilities `[C]` into the margin: the mean of those that mean AI less the others'.

    Of two labels that is the logit of P(AI). Of more it is not, because that is no sum over places; the mean is, and it
    favours no label.
    """
    weights = np.full(columns, -1 / (columns - len(ai_indices)))
    weights[list(ai_indices)] = 1 / len(ai_indices)
    return weights


def add_evidence(graph: onnx.ModelProto, columns: int, ai_indices: Sequence[int], size: tuple[int, int]) -> None:
    """Give a graph its second output, float32 `evidence [N, h, w]` in logits, positive where a place speaks for AI.

    The mean over the places and a constant, which `describe` tells, make the margin of `margin_weights`. Where the
    network does not end in an average and linear layers, the graph stays as it is.

    Args:
        graph: From uint8 `image [N, height, width, 3]` to `probabilities [N, C]` by a softmax; changed in place.
        columns: C.
        ai_indices: Which of them mean AI-generated.
        size: Height and width of the input.
    """
    margin = margin_weights(columns, ai_indices)
    head = _head(graph, margin)
    if head is None:
        return
    average, logits = head.nodes[-1], head.nodes[0].input[0]
    pixels = np.random.default_rng(0).integers(0, 256, (_TRIED_ON, *size, 3), dtype=np.uint8)
    features, answers = _run(graph, pixels, (head.tensor, logits))
    axis = _channel_axis(average, features, len(head.weights), _constants(graph))
    if axis is None or not _is_sum(np.moveaxis(features, axis, -1), head, answers @ margin):
        return
    grid = _grid(features.shape[1:axis] + features.shape[axis + 1 :], size)
    if grid is not None:
        _append(graph, head, axis, features.ndim, grid)


def describe(graph: onnx.ModelProto, columns: int, ai_indices: Sequence[int]) -> dict[str, Any] | None:
    """`evidence` as the manifest has it: height, width, and the bias in logits; None where there is no such output."""
    output = next((output for output in graph.graph.output if output.name == EVIDENCE), None)
    head = _head(graph, margin_weights(columns, ai_indices))
    if output is None or head is None:
        return None
    height, width = (dim.dim_value for dim in output.type.tensor_type.shape.dim[1:])
    return {"height": height, "width": width, "bias": head.bias}


def head_nodes(graph: onnx.ModelProto) -> list[str]:
    """Names of the nodes from the average on, where there is evidence: in fewer bits it would not add up."""
    if not any(output.name == EVIDENCE for output in graph.graph.output):
        return []
    columns = graph.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    head = _head(graph, margin_weights(columns, [0]))  # whichever mean AI, the nodes are the same
    return [node.name for node in head.nodes] if head else []


def _head(graph: onnx.ModelProto, margin: _Vector) -> _Head | None:
    """From the softmax up to the average, its input included; None where something else comes between."""
    constants = _constants(graph)
    made_by = {name: node for node in graph.graph.node for name in node.output}
    node = made_by[PROBABILITIES]
    if node.op_type != "Softmax":
        return None
    head = _Head(node.input[0], margin, nodes=[node])
    while (node := made_by.get(head.tensor)) is not None:
        head.nodes.append(node)
        if node.op_type in _AVERAGES:
            head.tensor = node.input[0]
            return head
        if not _step_up(head, node, [constants.get(name) for name in node.input]):
            return None
    return None


def _step_up(head: _Head, node: NodeProto, known: Sequence[NDArray[Any] | None]) -> bool:
    """Make it a function of what the node is fed; False where the node is not linear."""
    place = 0
    if node.op_type in ("Mul", "Add"):
        place = 0 if known[0] is None else 1
        constant = known[1 - place]
        if constant is None or constant.size not in (1, len(head.weights)):
            return False
        values = np.broadcast_to(constant.astype(np.float64).reshape(-1), head.weights.shape)
        if node.op_type == "Mul":
            head.weights = head.weights * values
        else:
            head.bias += float(head.weights @ values)
    elif node.op_type in ("MatMul", "Gemm", "Conv"):
        matrix, added = _layer(node, known)
        if matrix is None or matrix.shape[1:] != head.weights.shape:
            return False
        if added is not None:
            head.bias += float(head.weights @ np.broadcast_to(added.reshape(-1), head.weights.shape))
        head.weights = matrix @ head.weights
    elif node.op_type not in _SAME_ORDER:
        return False
    head.tensor = node.input[place]
    return True


def _layer(node: NodeProto, known: Sequence[NDArray[Any] | None]) -> tuple[_Vector | None, _Vector | None]:
    """A linear layer as float64 `[inputs, outputs]`, and what it adds; no matrix where it is not one."""
    options = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    weights = known[1]
    if weights is None or options.get("transA") or options.get("group", 1) != 1:
        return None, None
    matrix = weights.astype(np.float64)
    added = known[2].astype(np.float64) if len(known) > 2 and known[2] is not None else None
    if node.op_type == "Conv":
        return (matrix.reshape(matrix.shape[:2]).T, added) if matrix[0, 0].size == 1 else (None, None)
    if options.get("transB"):
        matrix = matrix.T
    return options.get("alpha", 1.0) * matrix, None if added is None else options.get("beta", 1.0) * added


def _constants(graph: onnx.ModelProto) -> _Constants:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    for node in graph.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _run(graph: onnx.ModelProto, pixels: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.float32]]:
    """What some tensors hold."""
    probe = onnx.ModelProto()
    probe.CopyFrom(graph)
    probe.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: list[NDArray[np.float32]] = session.run(list(names), {IMAGE: pixels})
    return found


def _channel_axis(
    average: NodeProto, features: NDArray[np.float32], channels: int, constants: _Constants
) -> int | None:
    """Where the channels are; None where the average leaves no axis of their number."""
    kept = [1]
    if average.op_type == "ReduceMean":
        options = {attribute.name: helper.get_attribute_value(attribute) for attribute in average.attribute}
        axes = constants.get(average.input[1]) if len(average.input) > 1 else options.get("axes")
        gone = [int(axis) % features.ndim for axis in ([] if axes is None else axes)]
        kept = [axis for axis in range(1, features.ndim) if axis not in gone]
    return next((axis for axis in kept if axis < features.ndim and features.shape[axis] == channels), None)


def _is_sum(features: NDArray[np.float32], head: _Head, margin: _Vector) -> bool:
    """Whether the contributions really make the margin: an AveragePool need not cover all, a Gather may choose."""
    contributions = features.reshape(len(features), -1, len(head.weights)) @ head.weights
    scale = max(1.0, float(np.abs(contributions).max()))
    return bool(np.abs(contributions.mean(axis=1) + head.bias - margin).max() <= _TOLERANCE * scale)


def _grid(places: Sequence[int], size: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of the places; of a mere sequence of them those that fit the input's shape."""
    sides = [side for side in places if side > 1]
    if len(sides) == 2:
        return sides[0], sides[1]
    if len(sides) != 1:
        return None
    height = round(math.sqrt(sides[0] * size[0] / size[1]))
    width = sides[0] // max(1, height)
    fits = height * width == sides[0] and height * size[1] == width * size[0]
    return (height, width) if fits else None


def _append(graph: onnx.ModelProto, head: _Head, axis: int, rank: int, grid: tuple[int, int]) -> None:
    weights = head.weights.astype(np.float32)
    kind, shape = ("Conv", (1, -1, *[1] * (rank - 2))) if axis == 1 else ("MatMul", (-1, 1))
    constants: dict[str, NDArray[Any]] = {
        "weights": weights.reshape(shape),
        "grid": np.array([-1, *grid], dtype=np.int64),
    }
    graph.graph.initializer.extend(numpy_helper.from_array(value, PREFIX + name) for name, value in constants.items())
    parts = PREFIX + "contributions"
    graph.graph.node.extend(
        [
            helper.make_node(kind, [head.tensor, PREFIX + "weights"], [parts], name=parts),
            helper.make_node("Reshape", [parts, PREFIX + "grid"], [EVIDENCE], name=PREFIX + EVIDENCE),
        ]
    )
    graph.graph.output.append(helper.make_tensor_value_info(EVIDENCE, TensorProto.FLOAT, ["batch", *grid]))

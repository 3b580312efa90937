"""The linear end of a network, found by feeding it: what the margin is as a function of the averaged features.

A graph writes an average and linear layers in many ways (Gemm, MatMul and Add, a 1x1 convolution, reshapes between).
Instead of recognising them, what follows the average is run by itself on zeros, which gives the bias, and on one unit
vector for each channel, which gives the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from aiface_runtime.manifest import IMAGE, PROBABILITIES

from .session import open_session

_AVERAGES = ("GlobalAveragePool", "AveragePool", "ReduceMean")
_BATCH = 4  # random pictures to check on; probes go in batches of as many, because a tail may depend on that number
# Size of the probes, a power of two: float32 then rounds a weight by its own size, not by the size of the bias.
_PROBE = 2.0**10
_TOLERANCE = 1e-4  # on the margin, in units of the largest term

_Vector: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LinearHead:
    """The margin as a sum over cells: `mean over cells of (weights · tensor) + bias`.

    Attributes:
        tensor: Name of the features that go into the average.
        shape: Shape of the features of one picture.
        axis: Axis of the channels in the batched features, from 1.
        weights: float64, one a channel, in logits per unit of the feature.
        bias: The margin where all features are 0, in logits.
    """

    tensor: str
    shape: tuple[int, ...]
    axis: int
    weights: _Vector
    bias: float

    @property
    def cells(self) -> tuple[int, ...]:
        """Shape of the features without their channels."""
        return self.shape[: self.axis - 1] + self.shape[self.axis :]


def nodes_from_average(graph: onnx.ModelProto) -> list[NodeProto]:
    """Return the last average and the nodes that depend on it; none unless they end in the softmax."""
    nodes: list[NodeProto] = []
    computed: set[str] = set()
    for node in graph.graph.node:
        if node.op_type in _AVERAGES:
            nodes, computed = [node], set(node.output)
        elif computed.intersection(node.input):
            nodes.append(node)
            computed.update(node.output)
    ends_in_softmax = bool(nodes) and nodes[-1].op_type == "Softmax" and nodes[-1].output[0] == PROBABILITIES
    return nodes if ends_in_softmax else []


def find_linear_head(graph: onnx.ModelProto, margin: _Vector) -> LinearHead | None:
    """Probe what follows the last average.

    Args:
        graph: Graph from uint8 `image [N, height, width, 3]` to `probabilities [N, C]` by a softmax.
        margin: Weights `[C]` of the logits in the margin, which is `logits · margin`.

    Returns:
        None where the margin is no such sum: there is no average, what follows it is not linear (a hidden layer, a
        normalisation), or it is not over all cells alike.
    """
    if not (nodes := nodes_from_average(graph)):
        return None
    tensor, averaged, logits = nodes[0].input[0], nodes[0].output[0], nodes[-1].input[0]
    tail, side_inputs = nodes[1:-1], _side_inputs(nodes[1:-1], averaged, graph)
    features, average, answers, *side_values = _on_noise(graph, [tensor, averaged, logits, *side_inputs])
    if average.shape[:1] != (_BATCH,):  # an average over the pictures
        return None
    axes = [axis for axis in range(1, features.ndim) if features.shape[axis] == average[0].size]
    if not axes:  # more than one value a channel is left
        return None
    constants = dict(zip(side_inputs, side_values, strict=True))
    probe = _Probe(_tail_model(graph, tail, average, (averaged, logits), constants), average.shape[1:], margin)
    if not probe.is_linear():
        return None
    weights, bias = probe.weights_and_bias()
    heads = (
        LinearHead(tensor=tensor, shape=features.shape[1:], axis=axis, weights=weights, bias=bias) for axis in axes
    )
    return next((head for head in heads if _is_sum(head, features, answers @ margin)), None)


class _Probe:
    """The tail as a function from averaged features to the margin."""

    def __init__(self, tail: onnx.ModelProto, shape: Sequence[int], margin: _Vector) -> None:
        self._session, self._shape, self._margin = open_session(tail, threads=1), tuple(shape), margin
        self._input = tail.graph.input[0].name
        self._channels = int(np.prod(shape))

    def is_linear(self) -> bool:
        """Tell whether a random vector's negative and double give what they must."""
        vector = _PROBE * np.random.default_rng(0).normal(size=self._channels)
        zero, once, negative, twice = self._margins(np.outer([0, 1, -1, 2], vector))
        error = max(abs(once + negative - 2 * zero), abs(twice + zero - 2 * once))
        return bool(error <= _TOLERANCE * max(1.0, abs(once), abs(twice)))

    def weights_and_bias(self) -> tuple[_Vector, float]:
        """Return the margin of unit vectors less that of zeros, `[channels]`, and that of zeros."""
        batches = -(-(self._channels + 1) // _BATCH)
        margins = self._margins(_PROBE * np.eye(batches * _BATCH, self._channels))
        bias = float(margins[self._channels])  # that row of a taller identity is zeros
        return (margins[: self._channels] - bias) / _PROBE, bias

    def _margins(self, vectors: _Vector) -> _Vector:
        rows = vectors.astype(np.float32).reshape(-1, _BATCH, *self._shape)
        logits = np.concatenate([self._session.run(None, {self._input: batch})[0] for batch in rows])
        margins: _Vector = logits.astype(np.float64) @ self._margin
        return margins


def _side_inputs(tail: Sequence[NodeProto], averaged: str, graph: onnx.ModelProto) -> list[str]:
    """Names of what the tail takes beside the average and weights, such as shapes computed from the picture's."""
    computed = {averaged, *(name for node in tail for name in node.output)}
    weights = {tensor.name for tensor in graph.graph.initializer}
    taken = dict.fromkeys(name for node in tail for name in node.input if name)
    return [name for name in taken if name not in computed | weights]


def _on_noise(graph: onnx.ModelProto, names: Sequence[str]) -> list[NDArray[Any]]:
    """Return what tensors hold when the graph is fed random pictures."""
    sides = [dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim[1:]]
    pixels = np.random.default_rng(0).integers(0, 256, (_BATCH, *sides), dtype=np.uint8)
    opened = onnx.ModelProto()
    opened.CopyFrom(graph)
    known = {output.name for output in graph.graph.output}
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    values: list[NDArray[Any]] = open_session(opened).run(list(names), {IMAGE: pixels})
    return values


def _tail_model(
    graph: onnx.ModelProto,
    tail: Sequence[NodeProto],
    average: NDArray[np.float32],
    ends: tuple[str, str],
    constants: Mapping[str, NDArray[Any]],
) -> onnx.ModelProto:
    """Cut the tail out as a model from `average` to logits, its side inputs as they were on the random pictures."""
    taken = {name for node in tail for name in node.input}
    weights = [tensor for tensor in graph.graph.initializer if tensor.name in taken]
    weights += [numpy_helper.from_array(value, name) for name, value in constants.items()]
    start = helper.make_tensor_value_info(ends[0], TensorProto.FLOAT, average.shape)
    model = helper.make_graph(tail, "tail", [start], [onnx.ValueInfoProto(name=ends[1])], weights)
    return helper.make_model(
        model, opset_imports=graph.opset_import, ir_version=graph.ir_version, functions=graph.functions
    )


def _is_sum(head: LinearHead, features: NDArray[np.float32], margin: _Vector) -> bool:
    """Tell whether contributions make the margin: a pool's window may leave cells out, a Gather may choose."""
    channels_last = np.moveaxis(features, head.axis, -1)
    contributions = channels_last.reshape(len(features), -1, len(head.weights)) @ head.weights
    scale = max(1.0, float(np.abs(contributions).max()))
    return bool(np.abs(contributions.mean(axis=1) + head.bias - margin).max() <= _TOLERANCE * scale)

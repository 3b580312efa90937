"""A class activation map as an output of its own, where a network ends in an average and linear layers.

There the log-odds are a sum over cells of the photo. With features `f(cell)`, averaged, and a head of weights `w` and
bias `b`,

    margin = w · mean f(cell) + b = mean (w · f(cell)) + b,

so `w · f(cell)` is exactly what a cell contributes: class activation mapping (Zhou et al., "Learning Deep Features for
Discriminative Localization", 2016) of the difference between the logits that mean AI and the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from aiface_runtime.manifest import EVIDENCE

from .builder import GraphBuilder
from .linear_head import LinearHead, find_linear_head

PREFIX = "evidence/"  # of the names of the nodes added here


def margin_weights(num_outputs: int, ai_indices: Sequence[int]) -> NDArray[np.float64]:
    """Return what turns logits or log-probabilities into the margin.

    That is the mean of those that mean AI less the mean of the others: of two labels the logit of P(AI). Of more it is
    not, because that is no sum over cells; the mean is, and it favours no label.

    Args:
        num_outputs: Number of labels, C.
        ai_indices: Indices of the labels that mean AI-generated.

    Returns:
        `[C]`.
    """
    weights = np.full(num_outputs, -1 / (num_outputs - len(ai_indices)))
    weights[list(ai_indices)] = 1 / len(ai_indices)
    return weights


def add_evidence(graph: onnx.ModelProto, num_outputs: int, ai_indices: Sequence[int]) -> None:
    """Give a graph one more output, float32 `evidence [N, h, w]` in logits, positive where a cell counts towards AI.

    The mean over the cells and a constant, which `describe` returns, make the margin of `margin_weights`. Where the
    network does not end in an average and linear layers, the graph stays as it is.

    Args:
        graph: Graph from uint8 `image [N, height, width, 3]` to `probabilities [N, C]` by a softmax; changed in place.
        num_outputs: Number of labels, C.
        ai_indices: Indices of the labels that mean AI-generated.
    """
    head = find_linear_head(graph, margin_weights(num_outputs, ai_indices))
    if head and (grid := _grid(head.cells, _input_size(graph))):
        _append(graph, head, grid)


class EvidenceJson(TypedDict):
    """`evidence` of a manifest: rows and columns of the map, and the bias in logits."""

    height: int
    width: int
    bias: float


def describe(graph: onnx.ModelProto, num_outputs: int, ai_indices: Sequence[int]) -> EvidenceJson | None:
    """Return `evidence` as the manifest has it: height, width, and the bias in logits; None without such an output."""
    output = next((output for output in graph.graph.output if output.name == EVIDENCE), None)
    head = find_linear_head(graph, margin_weights(num_outputs, ai_indices)) if output else None
    if output is None or head is None:
        return None
    height, width = (dim.dim_value for dim in output.type.tensor_type.shape.dim[1:])
    return {"height": height, "width": width, "bias": head.bias}


def _input_size(graph: onnx.ModelProto) -> tuple[int, int]:
    _, height, width, _ = (dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim)
    return height, width


def _grid(cells: Sequence[int], size: tuple[int, int]) -> tuple[int, int] | None:
    """Return rows and columns of the cells; of a mere sequence of them those that fit the input's shape."""
    sides = [side for side in cells if side > 1]
    if len(sides) == 2:
        return sides[0], sides[1]
    if len(sides) != 1:
        return None
    height = round(math.sqrt(sides[0] * size[0] / size[1]))
    width = sides[0] // max(1, height)
    fits = height * width == sides[0] and height * size[1] == width * size[0]
    return (height, width) if fits else None


def _append(graph: onnx.ModelProto, head: LinearHead, grid: tuple[int, int]) -> None:
    """Weigh the features of each cell, by a 1x1 convolution where channels come first, and shape them as the grid."""
    weights = head.weights.astype(np.float32)
    builder = GraphBuilder(PREFIX, ["contributions", EVIDENCE])
    if head.axis == 1:
        ones = [1] * (len(head.shape) - 1)
        contributions = builder.add("Conv", head.tensor, weights.reshape(1, -1, *ones))
    else:
        contributions = builder.add("MatMul", head.tensor, weights.reshape(-1, 1))
    builder.add("Reshape", contributions, np.array([-1, *grid], dtype=np.int64))
    graph.graph.node.extend(builder.nodes)
    graph.graph.initializer.extend(builder.constants)
    graph.graph.output.append(helper.make_tensor_value_info(EVIDENCE, TensorProto.FLOAT, ["batch", *grid]))

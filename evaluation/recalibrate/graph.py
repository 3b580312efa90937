"""A slope and a bias as nodes of a model's graph, before its last softmax."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from aiface_runtime.manifest import EVIDENCE, PROBABILITIES

from ..errors import CalibrationError

_PREFIX = "calibration"  # of the names of the nodes added here


def check_softmax(graph: onnx.ModelProto, name: str) -> None:
    """Find out before minutes of work that a graph cannot be calibrated.

    Raises:
        CalibrationError: The graph's probabilities are not made by a softmax.
    """
    kind = _maker(graph, PROBABILITIES).op_type
    if kind != "Softmax":
        raise CalibrationError(
            f"{name}: its graph ends in {kind}, not in Softmax, so it cannot be calibrated; export it again with "
            "aiface-export"
        )


def scale_logits(graph: onnx.ModelProto, slope: float, bias: float, ai_indices: Sequence[int]) -> None:
    """Multiply the logits by the slope, add the bias to those that mean AI, and multiply the evidence by the slope.

    Args:
        graph: Graph with `probabilities [N, C]` by a softmax of float32 logits, perhaps `evidence [N, h, w]`; changed
            in place. A graph that was scaled before may be scaled again.
        slope: Factor of the logits, above 0.
        bias: Number to add, in logits.
        ai_indices: Indices of the labels that mean AI-generated.
    """
    prefix = _unused_prefix(graph)
    softmax = _maker(graph, PROBABILITIES)
    columns = graph.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    shift = np.zeros(columns, dtype=np.float32)
    shift[list(ai_indices)] = bias
    slope_name, shift_name = f"{prefix}/slope", f"{prefix}/bias"
    graph.graph.initializer.append(numpy_helper.from_array(np.array(slope, dtype=np.float32), slope_name))
    graph.graph.initializer.append(numpy_helper.from_array(shift, shift_name))
    scaled, shifted = f"{prefix}/scaled", f"{prefix}/logits"
    nodes = [
        helper.make_node("Mul", [softmax.input[0], slope_name], [scaled], name=scaled),
        helper.make_node("Add", [scaled, shift_name], [shifted], name=shifted),
    ]
    softmax.input[0] = shifted
    _insert_before(graph, softmax, nodes)
    if any(output.name == EVIDENCE for output in graph.graph.output):
        _scale_evidence(graph, prefix, slope_name)


def _scale_evidence(graph: onnx.ModelProto, prefix: str, slope_name: str) -> None:
    unscaled = f"{prefix}/evidence"
    maker = _maker(graph, EVIDENCE)
    maker.output[list(maker.output).index(EVIDENCE)] = unscaled
    graph.graph.node.append(
        helper.make_node("Mul", [unscaled, slope_name], [EVIDENCE], name=f"{prefix}/scaled evidence")
    )


def _maker(graph: onnx.ModelProto, tensor: str) -> NodeProto:
    node: NodeProto = next(node for node in graph.graph.node if tensor in node.output)
    return node


def _insert_before(graph: onnx.ModelProto, node: NodeProto, added: Sequence[NodeProto]) -> None:
    """Keep the nodes in the order of their work, as ONNX demands."""
    index = next(index for index, other in enumerate(graph.graph.node) if other.output == node.output)
    for offset, new in enumerate(added):
        graph.graph.node.insert(index + offset, new)


def _unused_prefix(graph: onnx.ModelProto) -> str:
    names = {node.name for node in graph.graph.node}
    number = 1
    while f"{_PREFIX} {number}/logits" in names:
        number += 1
    return f"{_PREFIX} {number}"

"""The face map as an output of the graph: its size, and the nodes of its head."""

from __future__ import annotations

import onnx
from onnx import NodeProto

from aiface_runtime.manifest import FACES

from ..errors import ConversionError
from ..source import FACE_LOGITS

_WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")


def face_cells(network: onnx.ModelProto) -> tuple[int, int]:
    """Return rows and columns of a network's second output, the log-odds of a face.

    Raises:
        ConversionError: An exporter left that output out, or its size open.
    """
    outputs = network.graph.output
    sides = [dim.dim_value for dim in outputs[1].type.tensor_type.shape.dim[1:]] if len(outputs) > 1 else []
    if len(sides) != 2 or 0 in sides or outputs[1].name != FACE_LOGITS:
        raise ConversionError(f"the graph's second output is not {FACE_LOGITS} [N, h, w], the answers of its face head")
    return sides[0], sides[1]


def face_map_size(graph: onnx.ModelProto) -> tuple[int, int] | None:
    """Return rows and columns of the output `faces`; None without it."""
    output = next((output for output in graph.graph.output if output.name == FACES), None)
    if output is None:
        return None
    _, height, width = (dim.dim_value for dim in output.type.tensor_type.shape.dim)
    return height, width


def face_head_nodes(graph: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes from the face head's weights to `faces`; none without that output."""
    makers = {output: node for node in graph.graph.node for output in node.output}
    names: list[str] = []
    node: NodeProto | None = makers.get(FACES)
    while node is not None:
        names.append(node.name)
        computed = [makers[name] for name in node.input if name in makers]  # of Add the bias may come first
        node = computed[0] if computed and node.op_type not in _WITH_WEIGHTS else None
    return names

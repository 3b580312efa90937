"""The face map as an output of the graph: its size."""

from __future__ import annotations

import onnx

from aiface_runtime.manifest import FACES

from ..errors import ConversionError
from ..source import FACE_LOGITS


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

"""Pre- and post-processing as nodes of the graph: uint8 photos in, probabilities out."""

from __future__ import annotations

import onnx
import onnxslim
from onnx import TensorProto, compose, helper, numpy_helper

from .source import Source

IMAGE, PROBABILITIES = "image", "probabilities"


def fold(graph: onnx.ModelProto, source: Source) -> onnx.ModelProto:
    """Put normalisation before a network and softmax behind it.

    The uint8 tensor is transposed first and scaled in NCHW: the other way round onnxruntime loses its layout fusion and
    a small network's latency doubles.

    Args:
        graph: From `pixel_values` to `logits`, dynamic batch.
        source: Gives the input's size and the normalisation.

    Returns:
        From uint8 `image [N, height, width, 3]` to float32 `probabilities [N, C]`.
    """
    height, width = source.height, source.width
    opset, ir = graph.opset_import, graph.ir_version
    classes = len(source.labels)
    before = helper.make_graph(
        [
            helper.make_node("Transpose", [IMAGE], ["nchw"], perm=[0, 3, 1, 2]),
            helper.make_node("Cast", ["nchw"], ["levels"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["levels", "scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "offset"], ["normalised"]),
        ],
        "before",
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["batch", height, width, 3])],
        [helper.make_tensor_value_info("normalised", TensorProto.FLOAT, ["batch", 3, height, width])],
        [
            numpy_helper.from_array(source.scale.reshape(1, 3, 1, 1), "scale"),
            numpy_helper.from_array(source.offset.reshape(1, 3, 1, 1), "offset"),
        ],
    )
    after = helper.make_graph(
        [helper.make_node("Softmax", ["answers"], [PROBABILITIES], axis=-1)],
        "after",
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, ["batch", classes])],
        [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["batch", classes])],
    )
    first, last = (helper.make_model(part, opset_imports=opset, ir_version=ir) for part in (before, after))
    whole = compose.merge_models(first, compose.add_prefix(graph, "net/"), [("normalised", "net/pixel_values")])
    whole = compose.merge_models(whole, last, [("net/logits", "answers")])
    slim: onnx.ModelProto = onnxslim.slim(whole)
    return slim

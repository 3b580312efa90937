"""Pre- and post-processing as nodes of the graph: uint8 photos in, probabilities out."""

from __future__ import annotations

from itertools import count

import numpy as np
import onnx
import onnxslim
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper

from aiface_runtime.manifest import FACES, IMAGE, PROBABILITIES

from ..source import FACE_LOGITS, Preprocessing, Source
from .builder import GraphBuilder
from .evidence import add_evidence
from .faces import face_cells

BEFORE, AFTER = "before/", "after/"  # prefixes of the names of the nodes added here
SQUASHING = ("Softmax", "Sigmoid")  # operators that turn logits into probabilities
_MIN_PROBABILITY = 1e-12  # what float32 can tell from 0 without its logarithm running off
_RED_LAST = np.array([2, 1, 0], dtype=np.int64)


def assemble(graph: onnx.ModelProto, source: Source, temperature: float = 1.0) -> onnx.ModelProto:
    """Put normalisation before a network, a calibrated softmax and, of a face head, a sigmoid behind it.

    The uint8 tensor is transposed first and scaled in NCHW: the other way round onnxruntime loses its layout fusion and
    a small network's latency doubles.

    Args:
        graph: Graph by one of the source's exporters; changed in place.
        source: Source of the graph, for its input size, layout, normalisation and labels.
        temperature: Divisor of the logits, above 0.

    Returns:
        From uint8 RGB `image [N, height, width, 3]` to float32 `probabilities [N, C]`, of a network with a face head
        `faces [N, h, w]`, and, where `add_evidence` can, `evidence [N, h, w]`.

    Raises:
        ConversionError: The graph lacks the answers of the source's face head.
    """
    num_labels = len(source.labels)
    single = num_labels == 2 and _num_outputs(graph) == 1
    is_logits = _uncover_logits(graph) if source.head == "probabilities" else True
    before = _before(source.preprocessing)
    after = _after(num_labels, single=single, is_logits=is_logits, temperature=temperature)
    if source.has_faces:
        _add_faces(after, face_cells(graph))
    joined = _join(before, graph, after)
    slim: onnx.ModelProto = onnxslim.slim(joined) if source.precision == "fp32" else joined  # it turns weights to float
    for number, node in enumerate(slim.graph.node):
        node.name = node.name or f"net/{node.op_type} {number}"  # by which quantisation tells nodes apart
    versions = {entry.domain: entry.version for entry in slim.opset_import}  # merging repeats them
    del slim.opset_import[:]
    slim.opset_import.extend(helper.make_opsetid(*entry) for entry in versions.items())
    if source.precision == "fp32":
        add_evidence(slim, num_labels, source.ai_indices)
    return slim


def _join(before: onnx.GraphProto, network: onnx.ModelProto, after: onnx.GraphProto) -> onnx.ModelProto:
    """Feed each graph's first outputs to the next graph's inputs, in their order."""
    versions = {"opset_imports": network.opset_import, "ir_version": network.ir_version}
    joined = helper.make_model(before, **versions)
    for part in (compose.add_prefix(network, "net/"), helper.make_model(after, **versions)):
        links = [(end.name, start.name) for end, start in zip(joined.graph.output, part.graph.input, strict=False)]
        outputs = [output.name for output in part.graph.output[: len(after.input)]]
        joined = compose.merge_models(joined, part, links, outputs=outputs)
    return joined


def _num_outputs(graph: onnx.ModelProto) -> int:
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
    """Return the graph from uint8 RGB photos to the network's input."""
    height, width = preprocessing.height, preprocessing.width
    names = ("nchw", "ordered", "levels", "scaled", "normalised", "pixels", "in nhwc")
    builder = GraphBuilder(BEFORE, names)
    tensor = builder.add("Transpose", IMAGE, perm=[0, 3, 1, 2])
    if preprocessing.channels == "bgr":
        tensor = builder.add("Gather", tensor, _RED_LAST, axis=1)
    if preprocessing.table is None:
        tensor = builder.add("Cast", tensor, to=TensorProto.FLOAT)
        tensor = builder.add("Mul", tensor, preprocessing.scale.reshape(1, 3, 1, 1))
        tensor = builder.add("Add", tensor, preprocessing.offset.reshape(1, 3, 1, 1))
    else:
        tensor = builder.add("Cast", tensor, to=TensorProto.INT32)
        tensor = builder.add("Add", tensor, np.array([0, 256, 512], dtype=np.int32).reshape(1, 3, 1, 1))
        tensor = builder.add("Gather", preprocessing.table.reshape(-1), tensor)
    if preprocessing.layout == "nhwc":
        tensor = builder.add("Transpose", tensor, perm=[0, 2, 3, 1])
    sides = [3, height, width] if preprocessing.layout == "nchw" else [height, width, 3]
    return helper.make_graph(
        builder.nodes,
        "before",
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["batch", height, width, 3])],
        [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, ["batch", *sides])],
        builder.constants,
    )


def _after(num_labels: int, *, single: bool, is_logits: bool, temperature: float) -> onnx.GraphProto:
    """Return the graph from the network's answers to probabilities; a single answer is the second label's."""
    builder = GraphBuilder(AFTER, (f"after {number}" for number in count()))
    tensor = "answers"
    if single and not is_logits:
        complement = builder.add("Sub", _floats([1.0]), tensor)
        tensor = builder.add("Concat", complement, tensor, axis=-1)
    if single and is_logits:  # softmax of (0, logit) is (1 - sigmoid, sigmoid)
        tensor = builder.add("MatMul", tensor, _floats([[0.0, 1.0]]))
    if not is_logits:
        tensor = builder.add("Clip", tensor, _floats(_MIN_PROBABILITY), _floats(1.0))
        tensor = builder.add("Log", tensor)
    if temperature != 1.0:
        tensor = builder.add("Mul", tensor, _floats([1 / temperature]))
    builder.add("Softmax", tensor, axis=-1)
    builder.nodes[-1].output[0] = PROBABILITIES
    return helper.make_graph(
        builder.nodes,
        "after",
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, ["batch", 1 if single else num_labels])],
        [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["batch", num_labels])],
        builder.constants,
    )


def _add_faces(after: onnx.GraphProto, cells: tuple[int, int]) -> None:
    """Let the graph behind the network also turn the log-odds of a face into probabilities."""
    after.node.append(helper.make_node("Sigmoid", [FACE_LOGITS], [FACES], name=AFTER + FACES))
    shape: list[str | int | None] = ["batch", *cells]
    after.input.append(helper.make_tensor_value_info(FACE_LOGITS, TensorProto.FLOAT, shape))
    after.output.append(helper.make_tensor_value_info(FACES, TensorProto.FLOAT, shape))


def _floats(values: float | list[float] | list[list[float]]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)

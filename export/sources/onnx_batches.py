"""An ONNX graph made fit for the file: float32 pixels in, float32 answers out, in batches of any size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ..errors import SourceError
from ..graph.builder import GraphBuilder
from ..graph.session import open_session
from ..options import Head
from ..source import first_line
from .onnx_end import GraphEnd, bypass
from .onnx_graph import keep_output, pixels_input, sides
from .onnx_original import Original
from .onnx_reading import Reading

_BATCH_TOLERANCE = 1e-3  # between a photo's answers alone and in a batch; those of a wrong row are further off
_PREFIX = "adopted/"  # of the names of the nodes added here


def open_ends(
    model: onnx.ModelProto,
    original: Original,
    reading: Reading,
    photo: NDArray[np.uint8],
) -> Head:
    """Let a graph take float32 pixels in batches and give float32 `[N, C]`, in place; return what it gives then.

    A last softmax or sigmoid goes, because temperature and evidence need the logits before it.
    """
    shape: list[str | int | None] = ["batch", *original.pixels(photo).shape[1:]]
    start = pixels_input(model, original.name)
    keep_output(model, original.output)
    head = reading.head
    squashing = GraphEnd(model).squashing(original.output)
    by_sigmoid = reading.num_outputs == 1 or reading.own is not None
    if squashing is not None and squashing.op_type == ("Sigmoid" if by_sigmoid else "Softmax"):
        bypass(squashing)
        head = "logits"
    is_half, name = start.type.tensor_type.elem_type == TensorProto.FLOAT16, start.name
    if is_half:
        name = _PREFIX + "pixels"
        model.graph.node.insert(0, helper.make_node("Cast", [name], [start.name], to=TensorProto.FLOAT16))
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    _shape_answers(model, reading, head)
    return head


def _shape_answers(model: onnx.ModelProto, reading: Reading, head: Head) -> None:
    """Put the answers into float32 `[N, C]`; of two that each have a probability of their own, only AI's counts."""
    builder = GraphBuilder(_PREFIX, (f"{_PREFIX}{number}" for number in count()))
    (output,) = model.graph.output
    tensor = output.name
    if output.type.tensor_type.elem_type != TensorProto.FLOAT:
        tensor = builder.add("Cast", tensor, to=TensorProto.FLOAT)
    if len(sides(output)) != 2:
        tensor = builder.add("Reshape", tensor, np.array([-1, reading.num_outputs], dtype=np.int64))
    if reading.own is not None:
        chosen = np.zeros((2, 2), dtype=np.float32)
        chosen[reading.own, reading.own] = 1  # (logit, 0), whose softmax is the logit's sigmoid
        rest = np.zeros(2, dtype=np.float32)
        if head == "probabilities":
            chosen[reading.own, 1 - reading.own], rest[1 - reading.own] = -1, 1  # (p, 1 - p)
        tensor = builder.add("Add", builder.add("MatMul", tensor, chosen), rest)
    model.graph.node.extend(builder.nodes)
    model.graph.initializer.extend(builder.constants)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, ["batch", reading.num_outputs]))


def for_batches(
    model: onnx.ModelProto,
    original: Original,
    photos: Sequence[NDArray[np.uint8]],
    reading: Reading,
    head: Head,
) -> tuple[onnx.ModelProto, str]:
    """Return the graph for batches of any size, and what was done to it.

    Files made for one photo often hold its batch size in their nodes too; those go photo by photo, and so do those that
    measure the range of their activations as they run, which would make photos of a batch depend on each other.

    Raises:
        SourceError: It cannot be run in a batch either way.
    """
    read = Reading(head=head, num_outputs=reading.num_outputs, tolerance=reading.tolerance)
    expected = reading.probabilities(np.concatenate([original.answers(photo) for photo in photos]), original.name)
    pixels = np.concatenate([original.pixels(photo) for photo in photos])
    scanned = _photo_by_photo(model, pixels.shape[1:], reading.num_outputs)
    ways = [
        (model, "none (adopted)"),
        (_reshaped(model), "none (adopted)"),
        (scanned, "none (adopted, photo by photo)"),
    ]
    for graph, exporter in ways[2:] if any(node.op_type.startswith("Dynamic") for node in model.graph.node) else ways:
        try:
            session = open_session(graph)
            answers = session.run(None, {session.get_inputs()[0].name: pixels})[0]
            if answers.shape == (len(pixels), reading.num_outputs) and _agree(read, answers, expected, original.name):
                return graph, exporter
            problem = "other answers"
        except Exception as error:  # noqa: BLE001 onnxruntime's own have no narrower base
            problem = first_line(error)
    raise SourceError(
        f"{original.name}: does not take several photos at a time ({problem}); make it with an open batch size"
    )


def _reshaped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Leave the first axis open in reshapes to one photo, such as those that flatten its features."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in opened.graph.initializer}
    constants |= {node.output[0]: node.attribute[0].t for node in opened.graph.node if node.op_type == "Constant"}
    for node in opened.graph.node:
        tensor = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        shape = [] if tensor is None else numpy_helper.to_array(tensor).tolist()
        if tensor is not None and len(shape) > 1 and shape[0] == 1 and 0 not in shape:
            to = [0 if -1 in shape else -1, *shape[1:]]  # 0 keeps the axis, -1 takes what is left
            tensor.CopyFrom(numpy_helper.from_array(np.array(to, dtype=np.int64), tensor.name))
            del node.attribute[:]  # allowzero, by which 0 would be a size
    return opened


def _agree(read: Reading, answers: NDArray[np.float32], expected: NDArray[np.float32], name: str) -> bool:
    return bool(np.abs(read.probabilities(answers, name) - expected).max() <= _BATCH_TOLERANCE)


def _photo_by_photo(model: onnx.ModelProto, shape: tuple[int, ...], num_outputs: int) -> onnx.ModelProto:
    """Let a graph that answers one photo at a time answer a batch, by ONNX's `Scan`.

    Args:
        model: Graph from float32 `[1, …]` to float32 `[1, C]`.
        shape: Shape of one photo's pixels.
        num_outputs: Number of answers, C.

    Returns:
        Graph from float32 `[N, …]` to float32 `[N, C]`, each photo's answers those of the photo alone.
    """
    photo, answer = "scan/photo", "scan/answer"
    network, pixels, answers = model.graph, model.graph.input[0].name, model.graph.output[0].name
    start, row = (numpy_helper.from_array(np.array(to, dtype=np.int64)) for to in ((1, *shape), (num_outputs,)))
    start.name, row.name = "scan/one", "scan/row"
    body = helper.make_graph(
        [
            helper.make_node("Reshape", [photo, start.name], [pixels]),
            *network.node,
            helper.make_node("Reshape", [answers, row.name], [answer]),
        ],
        "one photo",
        [helper.make_tensor_value_info(photo, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(answer, TensorProto.FLOAT, [num_outputs])],
        [*network.initializer, start, row],
    )
    graph = helper.make_graph(
        [helper.make_node("Scan", ["scan/pixels"], ["scan/answers"], name="scan", num_scan_inputs=1, body=body)],
        network.name,
        [helper.make_tensor_value_info("scan/pixels", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("scan/answers", TensorProto.FLOAT, ["batch", num_outputs])],
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)

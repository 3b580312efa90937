"""An ONNX file as a graph: read with its weights, its input and outputs told, and opened for batches of any size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import onnx
from onnx import NodeProto, TensorProto, external_data_helper, inliner, version_converter

from aiface_runtime.manifest import KEY

from ..errors import SourceError
from ..options import WrittenPrecision
from ..source import first_line

_MIN_OPSET = 13  # the first whose Softmax works on one axis; older files are converted
_MIN_IR = 8  # older forms list weights among the inputs
_MIN_OPSET_KEPT = 11  # of graphs in fewer bits, whose operators of onnxruntime's own no converter knows
_MAX_BYTES = 2**31 - 2**20  # of one file: protobuf's limit, less what is added
_LFS = b"version https://git-lfs.github.com/spec/"
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
_INTEGER_OPS = ("QuantizeLinear", "DynamicQuantizeLinear", "QLinear", "QGemm", "MatMulInteger", "ConvInteger")


def load(file: Path) -> tuple[onnx.ModelProto, list[Path]]:
    """Read a graph with its weights, also of a data file beside it.

    Returns:
        The graph, and the files that hold it, the named one first.

    Raises:
        SourceError: The file, or what lies beside it, cannot be used.
    """
    _refuse_pointer(file)
    try:
        model = onnx.load(file, load_external_data=False)
        if not model.graph.node:
            raise SourceError(f"{file}: not an ONNX file")  # protobuf takes some other files for empty models
        data_files = _data_files(model, file)
        external_data_helper.load_external_data_for_model(model, str(file.parent))
        if model.functions:
            model = inliner.inline_local_functions(model)
        _sort(model.graph)
        model.ir_version = max(model.ir_version, _MIN_IR)
        if _opset(model) < (_MIN_OPSET if precision_of(model) == "fp32" else _MIN_OPSET_KEPT):
            model = version_converter.convert_version(model, _MIN_OPSET)
    except FileNotFoundError as error:
        raise SourceError(f"{file}: no such file") from error
    except SourceError:
        raise
    except Exception as error:  # protobuf, the checker and the converter have no common base
        raise SourceError(f"{file}: not an ONNX file that can be used ({first_line(error)})") from error
    if any(entry.key == KEY for entry in model.metadata_props):
        raise SourceError(f"{file}: describes itself already; aiface uses it as it is")
    return model, [file, *data_files]


def _refuse_pointer(file: Path) -> None:
    """Refuse a folder, and what git leaves in place of a large file."""
    if file.is_dir():
        raise SourceError(f"{file}: is a folder, not an ONNX file")
    if file.is_file():
        with file.open("rb") as opened:
            if opened.read(len(_LFS)) == _LFS:
                raise SourceError(f"{file}: this is a Git LFS pointer, run git lfs pull")


def _data_files(model: onnx.ModelProto, file: Path) -> list[Path]:
    """Return the files that hold weights, which must lie in the file's own folder.

    A location comes with the file, from whoever made it: another folder is not read.
    """
    locations = {
        entry.value
        for tensor in _tensors(model)
        if external_data_helper.uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    files = [file.parent / location for location in sorted(locations)]
    for data in files:
        if file.parent.resolve() not in data.resolve().parents:
            raise SourceError(f"{file}: keeps weights in {data}; copy both files, no links, into one folder")
        if not data.is_file():
            raise SourceError(f"{file}: keeps weights in {data.name}, which is not beside it; fetch that file too")
        _refuse_pointer(data)
    if sum(data.stat().st_size for data in files) > _MAX_BYTES:
        raise SourceError(f"{file}: one ONNX file holds less than 2 GB, its weights are more; save it in float16")
    return files


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in all_nodes(model.graph.node):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors, *attribute.g.initializer)


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yield nodes, and those of the graphs that they hold."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from all_nodes(attribute.g.node)


def _sort(graph: onnx.GraphProto) -> None:
    """Put nodes into an order in which they can run: some converters to float16 append what belongs before."""
    makers = {name: number for number, node in enumerate(graph.node) for name in node.output}
    needs = {
        number: {makers[name] for name in _taken(node) if name in makers} for number, node in enumerate(graph.node)
    }
    if any(before and max(before) > number for number, before in needs.items()):
        _replace(graph.node, [graph.node[number] for number in TopologicalSorter(needs).static_order()])


def _opset(model: onnx.ModelProto) -> int:
    return max((int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def pixels_input(model: onnx.ModelProto, name: str) -> onnx.ValueInfoProto:
    """Return the graph's only input that is no weight: old files list their weights among the inputs too.

    Raises:
        SourceError: There are others, or it is not `[N, 3, H, W]` or `[N, H, W, 3]` in float32 or float16.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs: list[onnx.ValueInfoProto] = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1 or _elem_type(inputs[0]) not in _FLOATS:
        raise SourceError(
            f"{name}: needs exactly one input, float32 or float16 pixels; it has {', '.join(map(_shown, inputs))}"
        )
    if len(sides(inputs[0])) != 4:
        raise SourceError(f"{name}: its input is {_shown(inputs[0])}, not [N, 3, H, W] or [N, H, W, 3]")
    return inputs[0]


def sides(value: onnx.ValueInfoProto) -> list[int]:
    """Return a tensor's shape, 0 where a side is open."""
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _shown(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dims = [dim.dim_param or (dim.dim_value if dim.HasField("dim_value") else "?") for dim in tensor.shape.dim]
    return f"{value.name} {TensorProto.DataType.Name(tensor.elem_type).lower()} [{', '.join(map(str, dims))}]"


def precision_of(model: onnx.ModelProto) -> WrittenPrecision:
    """Return the precision that a graph computes in, by the names of `--precision`."""
    nodes = list(all_nodes(model.graph.node))
    ops = {node.op_type for node in nodes}
    if any(op.startswith(_INTEGER_OPS) or op.endswith("Integer") for op in ops):
        return "int8"
    if "MatMulNBits" in ops:
        return "int4-weights"
    if "DequantizeLinear" in ops:
        return "int8-weights"
    halves = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    takers = {node.op_type for node in nodes if halves.intersection(node.input)}
    to_half = any(_casts_to_half(node) for node in nodes)
    if to_half or takers - {"Cast"} or any(_elem_type(value) == TensorProto.FLOAT16 for value in model.graph.input):
        return "fp16"
    return "fp16-weights" if halves else "fp32"


def _casts_to_half(node: NodeProto) -> bool:
    types = [attribute.i for attribute in node.attribute if attribute.name == "to"]
    return node.op_type == "Cast" and types == [TensorProto.FLOAT16]


def _elem_type(value: onnx.ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type)


def keep_output(model: onnx.ModelProto, name: str) -> None:
    """Leave one output, and the nodes that it needs, in place."""
    (output,) = (each for each in model.graph.output if each.name == name)
    kept, needed = [], {name}
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed |= _taken(node)
    _replace(model.graph.node, kept[::-1])
    _replace(model.graph.initializer, [tensor for tensor in model.graph.initializer if tensor.name in needed])
    _replace(model.graph.output, [output])
    del model.graph.value_info[:]  # what was inferred for the file's own batch size


def _replace(field: Any, messages: Iterable[Any]) -> None:
    """Let a repeated field hold these messages, which may be its own."""
    copies = [type(message).FromString(message.SerializeToString()) for message in messages]
    del field[:]
    field.extend(copies)


def _taken(node: NodeProto) -> set[str]:
    """Return the names of the tensors that a node takes, and the graphs that it holds."""
    graphs = [attribute.g for attribute in node.attribute]
    inside = {name for graph in graphs for inner in all_nodes(graph.node) for name in inner.input}
    return {*node.input, *inside, *(output.name for graph in graphs for output in graph.output)} - {""}

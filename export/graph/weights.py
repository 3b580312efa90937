"""Variants whose weights alone are in fewer bits: for the size of the file, with float32 arithmetic throughout."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Literal, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from ..errors import ConversionError
from .gptq import Rounded, input_moments, rounded
from .packed import MICROSOFT, OPSET_OF_6_BITS, multiply4, unpack6
from .quantize import WITH_WEIGHTS, always_float, without_shapes

_Store: TypeAlias = Callable[[NodeProto, onnx.TensorProto, onnx.GraphProto], list[NodeProto]]
WeightBits: TypeAlias = Literal[16, 8, 6, 4]
Matrices: TypeAlias = Mapping[str, Rounded]  # by their node's name
BLOCK_SIZES: Mapping[int, int] = {
    6: 128,
    4: 32,
}  # weights of a column that share a scale; at 6 bits all, or whole blocks
_MAX_INT8 = 127


def to_weights(
    graph: onnx.ModelProto, bits: WeightBits, *, spared: Collection[str] = (), matrices: Matrices | None = None
) -> onnx.ModelProto:
    """Put a graph's weights into fewer bits, symmetrically around 0.

    At 16 bits the weights of all layers are float16, which onnxruntime turns into float32 when it opens the file. At 8
    only the constant matrices of products are in fewer bits: each column has a scale, and standard operators dequantise
    it. At 6 and 4 each block of a column has a float16 scale, and the other layers are float16: matrices of 6 bits are
    turned into float32 like these, those of 4 dequantised by onnxruntime's `MatMulNBits`. The heads and products of two
    activations stay as they are.

    Args:
        graph: Graph by `assemble`.
        bits: Bits of a weight.
        spared: Names of nodes to leave in float at 16 and 8 bits, and in 8 bits at 6 and 4.
        matrices: The matrices by `round_matrices`, for 6 and 4 bits; None to round each value to the nearest.

    Raises:
        ConversionError: There are no such weights, or the graph's opset lacks an operator that is needed.
    """
    names = with_weights(graph, bits)
    _check(graph, bits, names)
    chosen = [name for name in names if name not in spared]
    if bits == 16:
        return _stored(graph, chosen, _as_float16)
    if bits == 8:
        return _stored(graph, chosen, _as_int8)
    rounded_ones = round_matrices(graph, bits) if matrices is None else matrices
    store = unpack6 if bits == 6 else multiply4
    others = [name for name in with_weights(graph, 16) if name not in names]
    graph = _stored(_stored(graph, others, _as_float16), [name for name in names if name in spared], _as_int8)
    return _stored(graph, chosen, lambda node, tensor, where: store(node, tensor, where, rounded_ones[node.name]))


def _check(graph: onnx.ModelProto, bits: WeightBits, names: Collection[str]) -> None:
    if not names:
        what = "layer" if bits == 16 else "matrix product"
        raise ConversionError(f"besides its heads it has no {what} with constant weights")
    opset = next(each.version for each in graph.opset_import if each.domain in ("", "ai.onnx"))
    if bits == 6 and opset < OPSET_OF_6_BITS:
        raise ConversionError(f"6 bits need opset {OPSET_OF_6_BITS}, and it has {opset}; convert it to a newer one")


def round_matrices(graph: onnx.ModelProto, bits: WeightBits, pixels: NDArray[np.uint8] | None = None) -> Matrices:
    """Round the matrices of products to whole numbers times a scale a block.

    Args:
        graph: Graph by `assemble`.
        bits: Bits of a weight, 6 or 4.
        pixels: uint8 `[N, height, width, 3]`, photos on which the products are to change least; None, or N = 0, to
            round each value to the nearest.

    Raises:
        ConversionError: There are no such weights, or the graph's opset lacks an operator that is needed.
    """
    names = with_weights(graph, bits)
    _check(graph, bits, names)
    moments = {} if pixels is None or not len(pixels) else input_moments(graph, names, pixels)
    weights = {tensor.name: tensor for tensor in graph.graph.initializer}
    matrices: dict[str, Rounded] = {}
    for node in graph.graph.node:
        if node.name in names:
            matrix = numpy_helper.to_array(weights[node.input[1]])
            block = len(matrix) if bits == 6 and len(matrix) % BLOCK_SIZES[6] else BLOCK_SIZES[bits]
            matrices[node.name] = rounded(matrix, bits, block, moments.get(node.input[0]))
    return matrices


def with_weights(graph: onnx.ModelProto, bits: WeightBits) -> list[str]:
    """Return the names of the nodes with constant weights of their own that may be put into so many bits."""
    uses = Counter(name for node in graph.graph.node for name in node.input)
    kinds, dims = (WITH_WEIGHTS, (2, 3, 4)) if bits == 16 else (("MatMul",), (2,))
    weights = {each.name for each in graph.graph.initializer if len(each.dims) in dims and uses[each.name] == 1}
    if bits == 6:  # four values are packed into three bytes
        weights -= {each.name for each in graph.graph.initializer if np.prod(each.dims) % 4}
    excluded = always_float(graph)
    nodes = (node for node in graph.graph.node if node.op_type in kinds and node.name not in excluded)
    return [node.name for node in nodes if node.input[1] in weights]


def _stored(graph: onnx.ModelProto, names: Collection[str], store: _Store) -> onnx.ModelProto:
    model = copy.deepcopy(graph)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[NodeProto] = []
    for node in graph.graph.node:
        kept = copy.deepcopy(node)
        nodes += store(kept, weights[node.input[1]], model.graph) if node.name in names else [kept]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    if MICROSOFT in {node.domain for node in nodes} - {each.domain for each in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    return without_shapes(model)


def _as_float16(node: NodeProto, tensor: onnx.TensorProto, _: onnx.GraphProto) -> list[NodeProto]:
    """Replace float32 by float16, and put the node before that turns it back."""
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}/fp16"))
    node.input[1] = f"{name}/float"
    cast = helper.make_node("Cast", [tensor.name], [node.input[1]], name=f"{name}/cast", to=onnx.TensorProto.FLOAT)
    return [cast, node]


def _as_int8(node: NodeProto, tensor: onnx.TensorProto, graph: onnx.GraphProto) -> list[NodeProto]:
    """Replace float32 `[K, N]` by int8 with a scale for each of the N columns, and dequantise it before the node."""
    weights, name = numpy_helper.to_array(tensor), tensor.name
    scales = np.abs(weights).max(axis=0) / _MAX_INT8
    scales[scales == 0] = 1
    tensor.CopyFrom(numpy_helper.from_array(np.rint(weights / scales).astype(np.int8), f"{name}/int8"))
    graph.initializer.append(numpy_helper.from_array(scales.astype(np.float32), f"{name}/scales"))
    node.input[1] = f"{name}/float"
    inputs = [f"{name}/int8", f"{name}/scales"]
    return [helper.make_node("DequantizeLinear", inputs, [node.input[1]], name=f"{name}/dequantise", axis=1), node]

"""Variants whose weights alone are in fewer bits: for the size of the file, with float32 arithmetic throughout."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Callable, Collection
from typing import Literal, TypeAlias

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from ..errors import ConversionError
from .quantize import WITH_WEIGHTS, always_float, without_shapes

_Store: TypeAlias = Callable[[onnx.TensorProto, onnx.GraphProto], NodeProto]
WeightBits: TypeAlias = Literal[16, 8, 4]
BLOCK_SIZE = 32  # weights of a column that share one scale at 4 bits
_MAX_INT8 = 127
_WHAT = {16: "layer", 8: "matrix product", 4: "matrix product"}
_FLOAT32 = 1  # MatMulNBits' accuracy_level: sums in float32, so that answers are the same on every processor


def to_weights(graph: onnx.ModelProto, bits: WeightBits, *, spared: Collection[str] = ()) -> onnx.ModelProto:
    """Put a graph's weights into fewer bits, symmetrically around 0.

    At 16 bits the weights of all layers are float16, which onnxruntime turns into float32 when it opens the file. At 8
    and 4 only the constant matrices of products are in fewer bits: at 8 each column has a scale, and standard operators
    dequantise it; at 4 each block of a column has one, and onnxruntime's `MatMulNBits` dequantises it. The heads and
    products of two activations stay as they are.

    Args:
        graph: Graph by `assemble`.
        bits: Bits of a weight.
        spared: Names of nodes to leave in float at 16 and 8 bits, and in 8 bits at 4.

    Raises:
        ConversionError: There are no such weights.
    """
    names = with_weights(graph, bits)
    if not names:
        raise ConversionError(f"besides its heads it has no {_WHAT[bits]} with constant weights")
    chosen = [name for name in names if name not in spared]
    if bits == 16:
        return _stored(graph, chosen, _as_float16)
    if bits == 8:
        return _stored(graph, chosen, _as_int8)
    return _stored(_to_int4(graph, chosen), [name for name in names if name in spared], _as_int8)


def with_weights(graph: onnx.ModelProto, bits: WeightBits) -> list[str]:
    """Return the names of the nodes with constant weights of their own that may be put into so many bits."""
    uses = Counter(name for node in graph.graph.node for name in node.input)
    kinds, dims = (WITH_WEIGHTS, (2, 3, 4)) if bits == 16 else (("MatMul",), (2,))
    weights = {each.name for each in graph.graph.initializer if len(each.dims) in dims and uses[each.name] == 1}
    excluded = always_float(graph)
    nodes = (node for node in graph.graph.node if node.op_type in kinds and node.name not in excluded)
    return [node.name for node in nodes if node.input[1] in weights]


def _to_int4(graph: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    logging.root.addHandler(occupied := logging.NullHandler())  # else the import below sets the root logger up
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    logging.root.removeHandler(occupied)
    others = [node.name for node in graph.graph.node if node.op_type == "MatMul" and node.name not in names]
    quantizer = MatMulNBitsQuantizer(
        copy.deepcopy(graph),
        bits=4,
        block_size=BLOCK_SIZE,
        is_symmetric=True,
        accuracy_level=_FLOAT32,
        nodes_to_exclude=others,
    )
    quantizer.process()
    return without_shapes(quantizer.model.model)


def _stored(graph: onnx.ModelProto, names: Collection[str], store: _Store) -> onnx.ModelProto:
    model = copy.deepcopy(graph)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.name in names:
            nodes.append(store(weights[node.input[1]], model.graph))
            node.input[1] = nodes[-1].output[0]
        nodes.append(node)
    nodes = [copy.deepcopy(node) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return without_shapes(model)


def _as_float16(tensor: onnx.TensorProto, _: onnx.GraphProto) -> NodeProto:
    """Replace float32 by float16; return the node that turns it back."""
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}/fp16"))
    return helper.make_node("Cast", [tensor.name], [f"{name}/float"], name=f"{name}/cast", to=onnx.TensorProto.FLOAT)


def _as_int8(tensor: onnx.TensorProto, graph: onnx.GraphProto) -> NodeProto:
    """Replace float32 `[K, N]` by int8 with a scale for each of the N columns; return the node that multiplies them."""
    weights, name = numpy_helper.to_array(tensor), tensor.name
    scales = np.abs(weights).max(axis=0) / _MAX_INT8
    scales[scales == 0] = 1
    tensor.CopyFrom(numpy_helper.from_array(np.rint(weights / scales).astype(np.int8), f"{name}/int8"))
    graph.initializer.append(numpy_helper.from_array(scales.astype(np.float32), f"{name}/scales"))
    return helper.make_node(
        "DequantizeLinear", [f"{name}/int8", f"{name}/scales"], [f"{name}/float"], name=f"{name}/dequantise", axis=1
    )

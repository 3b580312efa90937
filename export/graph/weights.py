"""Variants whose weights alone are in fewer bits: for the size of the file, with float32 arithmetic throughout."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Collection
from typing import Literal, TypeAlias

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from ..errors import ConversionError
from .quantize import always_float, without_shapes

WeightBits: TypeAlias = Literal[8, 4]
BLOCK_SIZE = 32  # weights of a column that share one scale at 4 bits
_MAX_INT8 = 127
_FLOAT32 = 1  # MatMulNBits' accuracy_level: sums in float32, so that answers are the same on every processor


def to_weights(graph: onnx.ModelProto, bits: WeightBits, *, spared: Collection[str] = ()) -> onnx.ModelProto:
    """Put the constant matrices of a graph's products into fewer bits, symmetrically around 0.

    At 8 bits each column has a scale, and standard operators dequantise it. At 4 bits each block of a column has one,
    and onnxruntime's `MatMulNBits` dequantises it. Convolutions, the heads and products of two activations stay as
    they are.

    Args:
        graph: Graph by `assemble`.
        bits: Bits of a weight.
        spared: Names of nodes to leave in float at 8 bits, and in 8 bits at 4.

    Raises:
        ConversionError: There is no such matrix.
    """
    matrices = matrix_products(graph)
    if not matrices:
        raise ConversionError("besides its heads it has no matrix product with constant weights")
    chosen = [name for name in matrices if name not in spared]
    if bits == 8:
        return _to_int8(graph, chosen)
    return _to_int8(_to_int4(graph, chosen), [name for name in matrices if name in spared])


def matrix_products(graph: onnx.ModelProto) -> list[str]:
    """Return the names of the MatMul nodes with a constant matrix of their own that may be put into fewer bits."""
    uses = Counter(name for node in graph.graph.node for name in node.input)
    matrices = {tensor.name for tensor in graph.graph.initializer if len(tensor.dims) == 2 and uses[tensor.name] == 1}
    excluded = always_float(graph)
    products = (node for node in graph.graph.node if node.op_type == "MatMul" and node.name not in excluded)
    return [node.name for node in products if node.input[1] in matrices]


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


def _to_int8(graph: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    model = copy.deepcopy(graph)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.name in names:
            nodes.append(_dequantised(weights[node.input[1]], model.graph))
            node.input[1] = nodes[-1].output[0]
        nodes.append(node)
    nodes = [copy.deepcopy(node) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return without_shapes(model)


def _dequantised(tensor: onnx.TensorProto, graph: onnx.GraphProto) -> NodeProto:
    """Replace float32 `[K, N]` by int8 with a scale for each of the N columns; return the node that multiplies them."""
    weights, name = numpy_helper.to_array(tensor), tensor.name
    scales = np.abs(weights).max(axis=0) / _MAX_INT8
    scales[scales == 0] = 1
    tensor.CopyFrom(numpy_helper.from_array(np.rint(weights / scales).astype(np.int8), f"{name}/int8"))
    graph.initializer.append(numpy_helper.from_array(scales.astype(np.float32), f"{name}/scales"))
    return helper.make_node(
        "DequantizeLinear", [f"{name}/int8", f"{name}/scales"], [f"{name}/float"], name=f"{name}/dequantise", axis=1
    )

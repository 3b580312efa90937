"""Matrices of 6 and 4 bits: how a file holds them, and the nodes that compute with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from .gptq import Rounded

MICROSOFT = "com.microsoft"
OPSET_OF_6_BITS = 18  # the first with BitwiseAnd and BitwiseOr
_FLOAT32 = 1  # MatMulNBits' accuracy_level: sums in float32, so that answers are the same on every processor
# Four values of 6 bits lie in three bytes: three in their lower 6 bits, the fourth, in parts, in their upper 2.
_SHIFTS = np.array([[6], [4], [2]], np.uint8)
_UNPACK: dict[str, NDArray[Any]] = {
    "bits/lower": np.array([0b00111111], np.uint8),
    "bits/shifts": _SHIFTS,
    "bits/parts": np.array([[0b00000011], [0b00001100], [0b00110000]], np.uint8),
    "bits/zero": np.array([32], np.float32),
}
_STEPS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (  # operator, inputs, outputs, attributes
    ("BitwiseAnd", "packed bits/lower", "three", {}),
    ("BitShift", "packed bits/shifts", "shifted", {"direction": "RIGHT"}),
    ("BitwiseAnd", "shifted bits/parts", "parts", {}),
    ("Split", "parts", "a b c", {"axis": 0, "num_outputs": 3}),
    ("BitwiseOr", "a b", "ab", {}),
    ("BitwiseOr", "ab c", "fourth", {}),
    ("Concat", "three fourth", "four", {"axis": 0}),
    ("Reshape", "four blocks", "bytes", {}),
    ("Cast", "bytes", "positive", {"to": TensorProto.FLOAT}),
    ("Sub", "positive bits/zero", "values", {}),
    ("Cast", "scales", "factors", {"to": TensorProto.FLOAT}),
    ("Mul", "values factors", "scaled", {}),
    ("Reshape", "scaled shape", "float", {}),
)


def unpack6(node: NodeProto, tensor: TensorProto, graph: onnx.GraphProto, matrix: Rounded) -> list[NodeProto]:
    """Put a matrix into 6 bits, and nodes before its product that turn it into float32.

    They are standard operators on constants alone, so that onnxruntime runs them once, when it opens the file.

    Args:
        node: `MatMul` of an activation and the matrix.
        tensor: The matrix in float32 `[K, N]`; replaced.
        graph: Graph that gets the constants.
        matrix: The same matrix in 6 bits, of whole blocks and a multiple of four values.

    Returns:
        The nodes in place of `node`.
    """
    name, (blocks, columns) = tensor.name, matrix.scales.shape
    tensor.CopyFrom(numpy_helper.from_array(_pack6(matrix.values), f"{name}/packed"))
    constants: dict[str, NDArray[Any]] = _UNPACK | {
        f"{name}/scales": matrix.scales[:, None],
        f"{name}/blocks": np.array([blocks, matrix.block, columns]),
        f"{name}/shape": np.array(matrix.values.shape),
    }
    known = {each.name for each in graph.initializer}
    graph.initializer.extend(numpy_helper.from_array(constants[key], key) for key in constants.keys() - known)
    node.input[1] = f"{name}/float"

    def full(names: str) -> list[str]:
        return [each if each in _UNPACK else f"{name}/{each}" for each in names.split()]

    return [
        *(helper.make_node(kind, full(x), full(y), f"{name}/unpack {y}", **options) for kind, x, y, options in _STEPS),
        node,
    ]


def _pack6(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Pack values from -32 to 31, a multiple of four of them: uint8 `[3, size / 4]`."""
    lower = (values.reshape(4, -1) + 32).astype(np.uint8)
    packed: NDArray[np.uint8] = lower[:3] | (np.left_shift(lower[3], _SHIFTS) & np.uint8(0b11000000))
    return packed


def multiply4(node: NodeProto, tensor: TensorProto, graph: onnx.GraphProto, matrix: Rounded) -> list[NodeProto]:
    """Put a matrix into 4 bits, and the product with it into onnxruntime's `MatMulNBits`.

    Args:
        node: `MatMul` of an activation and the matrix.
        tensor: The matrix in float32 `[K, N]`; replaced.
        graph: Graph that gets the scales.
        matrix: The same matrix in 4 bits.

    Returns:
        The nodes in place of `node`.
    """
    name, values = tensor.name, _by_column(matrix)
    pairs = (values + 8).astype(np.uint8)
    tensor.CopyFrom(numpy_helper.from_array(pairs[..., ::2] | np.left_shift(pairs[..., 1::2], 4), f"{name}/packed"))
    graph.initializer.append(numpy_helper.from_array(matrix.scales.T.reshape(-1), f"{name}/scales"))
    cast = helper.make_node("Cast", [f"{name}/scales"], [f"{name}/factors"], f"{name}/cast", to=TensorProto.FLOAT)
    product = helper.make_node(
        "MatMulNBits",
        [node.input[0], tensor.name, f"{name}/factors"],
        node.output,
        node.name,
        domain=MICROSOFT,
        K=len(matrix.values),
        N=len(values),
        bits=4,
        block_size=matrix.block,
        accuracy_level=_FLOAT32,
    )
    return [cast, product]


def _by_column(matrix: Rounded) -> NDArray[np.int8]:
    """Give the values as `MatMulNBits` takes them, `[N, blocks, block]`, the last block filled up with 0."""
    count, columns = matrix.values.shape
    values = np.zeros((columns, len(matrix.scales) * matrix.block), np.int8)
    values[:, :count] = matrix.values.T
    return values.reshape(columns, -1, matrix.block)

"""Products with matrices of 6 or 4 bits: how a file holds them, and the nodes that compute them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from .gptq import Rounded

DOMAIN = "com.microsoft"
_FLOAT32 = 1  # MatMulNBits' accuracy_level: sums in float32, so that answers are the same on every processor
# Four values of 6 bits lie in three bytes: three in their upper 6 bits, the fourth, in parts, in their lower 2.
_UPPER = np.array([0b11111100], np.uint8)
_SHIFTS = np.array([[6], [4], [2]], np.uint8)
_PARTS = np.array([[0b11000000], [0b00110000], [0b00001100]], np.uint8)


def multiply(node: NodeProto, tensor: TensorProto, graph: onnx.GraphProto, matrix: Rounded) -> list[NodeProto]:
    """Put a matrix into its bits, and the product with it into onnxruntime's `MatMulNBits`.

    That has no 6 bits: standard operators shift them into bytes, once, when onnxruntime opens the file.

    Args:
        node: `MatMul` of an activation and the matrix.
        tensor: The matrix in float32 `[K, N]`; replaced.
        graph: Graph that gets the scales.
        matrix: The same matrix, rounded.

    Returns:
        The nodes in place of `node`.
    """
    name = tensor.name
    values, scales = _by_column(matrix), matrix.scales.T.reshape(-1)
    if matrix.bits == 4:
        bits, packed, unpack = 4, _pack4(values), []
    else:  # the values become the upper 6 bits of bytes, which are four times as large
        bits, packed, unpack, scales = 8, _pack6(values), _unpack6(name, values.shape, graph), scales / np.float16(4)
    tensor.CopyFrom(numpy_helper.from_array(packed, f"{name}/packed"))
    graph.initializer.append(numpy_helper.from_array(scales, f"{name}/scales"))
    floats = helper.make_node("Cast", [f"{name}/scales"], [f"{name}/floats"], f"{name}/cast", to=TensorProto.FLOAT)
    product = helper.make_node(
        "MatMulNBits",
        [node.input[0], f"{name}/bytes" if unpack else tensor.name, f"{name}/floats"],
        node.output,
        node.name,
        domain=DOMAIN,
        K=len(matrix.values),
        N=len(values),
        bits=bits,
        block_size=matrix.block,
        accuracy_level=_FLOAT32,
    )
    return [*unpack, floats, product]


def _by_column(matrix: Rounded) -> NDArray[np.int8]:
    """Give the values as `MatMulNBits` takes them, `[N, blocks, block]`, the last block filled up with 0."""
    count, columns = matrix.values.shape
    values = np.zeros((columns, len(matrix.scales) * matrix.block), np.int8)
    values[:, :count] = matrix.values.T
    return values.reshape(columns, -1, matrix.block)


def _pack4(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Pack values from -8 to 7 as `MatMulNBits` takes them: uint8 `[N, blocks, block / 2]`."""
    shifted = (values + 8).astype(np.uint8)
    packed: NDArray[np.uint8] = shifted[..., ::2] | np.left_shift(shifted[..., 1::2], np.uint8(4))
    return packed


def _pack6(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Pack values from -32 to 31, a multiple of four of them: uint8 `[3, size / 4]`."""
    upper = (values.reshape(4, -1) + 32).astype(np.uint8) << 2
    packed: NDArray[np.uint8] = upper[:3] | np.right_shift(upper[3] & _PARTS, _SHIFTS)
    return packed


def _unpack6(name: str, shape: tuple[int, ...], graph: onnx.GraphProto) -> list[NodeProto]:
    """Give the nodes that undo `_pack6`: uint8 of the given shape, each value in the upper 6 bits, 0 as 128."""
    constants = {"bits/upper": _UPPER, "bits/shifts": _SHIFTS, "bits/parts": _PARTS}
    known = {tensor.name for tensor in graph.initializer}
    added = {key: value for key, value in constants.items() if key not in known} | {f"{name}/shape": np.array(shape)}
    graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in added.items())
    steps: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("BitwiseAnd", "packed bits/upper", "three", {}),
        ("BitShift", "packed bits/shifts", "shifted", {"direction": "LEFT"}),
        ("BitwiseAnd", "shifted bits/parts", "parts", {}),
        ("Split", "parts", "a b c", {"axis": 0, "num_outputs": 3}),
        ("BitwiseOr", "a b", "ab", {}),
        ("BitwiseOr", "ab c", "fourth", {}),
        ("Concat", "three fourth", "four", {"axis": 0}),
        ("Reshape", "four shape", "bytes", {}),
    )

    def full(names: str) -> list[str]:
        return [each if each in constants else f"{name}/{each}" for each in names.split()]

    return [
        helper.make_node(kind, full(inputs), full(outputs), f"{name}/unpack {outputs}", **attributes)
        for kind, inputs, outputs, attributes in steps
    ]

"""Matrices in 6 and 4 bits: what the file computes, and what photos that calibrate are worth."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from aiface_export.errors import ConversionError
from aiface_export.graph.session import open_session
from aiface_export.graph.weights import WeightBits, round_matrices, to_weights

SIDE = 12  # 432 values a photo in rows of 36, no multiple of a block
FEW: list[WeightBits] = [6, 4]


@pytest.fixture(scope="module", params=[150, 256], ids=["a part of a block", "two blocks"])
def network(request: pytest.FixtureRequest) -> onnx.ModelProto:
    """Two products with a rectifier between them, and a head; one column is all 0, one hardly more."""
    rng, wide = np.random.default_rng(0), request.param
    first = rng.normal(size=(36, wide)) / 6
    first[:, 0], first[:, 1] = 0, first[:, 1] * 1e-5
    second, last = rng.normal(size=(wide, 40)) / 12, rng.normal(size=(40, 2)) / 6
    constants = {"scale": np.float32(1 / 128), "rows": np.array([-1, SIDE, 36]), "axes": np.array([1])}
    constants |= {name: value.astype(np.float32) for name, value in (("a", first), ("b", second), ("last", last))}
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], "before/cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["scaled"], "before/scale"),
        helper.make_node("Reshape", ["scaled", "rows"], ["x"], "net/rows"),
        helper.make_node("MatMul", ["x", "a"], ["hidden"], "net/first"),
        helper.make_node("Relu", ["hidden"], ["rectified"], "net/relu"),
        helper.make_node("MatMul", ["rectified", "b"], ["out"], "net/second"),
        helper.make_node("ReduceMean", ["out", "axes"], ["mean"], "net/mean", keepdims=0),
        helper.make_node("MatMul", ["mean", "last"], ["logits"], "net/last"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "after/softmax", axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "two products",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def photos(count: int, seed: int) -> np.ndarray:
    """Paint smooth photos, whose neighbouring values are alike: uint8 `[count, SIDE, SIDE, 3]`."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(count, SIDE, SIDE, 3)).cumsum(axis=1).cumsum(axis=2)
    return np.clip(128 + 12 * steps, 0, 255).astype(np.uint8)


def intermediate(model: onnx.ModelProto, name: str, pixels: np.ndarray) -> np.ndarray:
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    probed.graph.output.append(helper.make_empty_tensor_value_info(name))
    values: np.ndarray = open_session(probed).run([name], {"image": pixels})[0]
    return values


@pytest.mark.parametrize("bits", FEW)
def test_the_file_computes_with_the_rounded_matrices(bits: WeightBits, network: onnx.ModelProto) -> None:
    matrices = round_matrices(network, bits, photos(8, 1))
    model = to_weights(network, bits, matrices=matrices)
    onnx.checker.check_model(model, full_check=True)
    pixels = photos(5, 2)
    x = pixels.reshape(-1, SIDE, 36).astype(np.float32) / 128
    first, second = (matrices[name].dequantised() for name in ("net/first", "net/second"))
    expected = np.maximum(x @ first, 0) @ second
    assert intermediate(model, "out", pixels) == pytest.approx(expected, abs=1e-4)
    assert not first[:, 0].any()
    assert np.abs(first[:, 1]).max() > 0, "nor is a small column lost"
    assert np.abs(matrices["net/second"].values).max() == 2 ** (bits - 1), "all bits are used"


@pytest.mark.parametrize("bits", FEW)
def test_a_matrix_that_is_spared_has_8_bits(bits: WeightBits, network: onnx.ModelProto) -> None:
    model = to_weights(network, bits, spared=["net/second"])
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert (kinds["a/packed"], kinds["b/int8"], kinds["last"]) == (
        TensorProto.UINT8,
        TensorProto.INT8,
        TensorProto.FLOAT,
    )
    assert "MatMulNBits" not in [node.op_type for node in model.graph.node] or bits == 4


@pytest.mark.parametrize("bits", FEW)
def test_photos_that_calibrate_lower_the_error_on_others(bits: WeightBits, network: onnx.ModelProto) -> None:
    others = photos(32, 4)
    true = intermediate(network, "out", others)
    errors = [
        np.square(intermediate(to_weights(network, bits, matrices=matrices), "out", others) - true).mean()
        for matrices in (round_matrices(network, bits), round_matrices(network, bits, photos(32, 3)))
    ]
    assert errors[1] < 0.2 * errors[0]


def test_6_bits_need_operators_of_opset_18(network: onnx.ModelProto) -> None:
    older = onnx.ModelProto()
    older.CopyFrom(network)
    older.opset_import[0].version = 17
    with pytest.raises(ConversionError, match="6 bits need opset 18, and it has 17"):
        to_weights(older, 6)

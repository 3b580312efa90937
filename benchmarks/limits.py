"""What this machine allows at most: products of matrices, and the decoder's own time for the pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper
from PIL import Image

from aiface_runtime.latency import Timing, take_turns

_SIDE = 1024


def peaks(rounds: int) -> dict[str, float | str]:
    """Measure products of square matrices on one thread, in giga-operations a second (2 per multiply-add).

    Returns:
        By type of number; in place of one that could not be measured, why.
    """
    speeds: dict[str, float | str] = {}
    for name, model, feed in (_fp32(), _int8()):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        times = [seconds for _, seconds in take_turns({name: lambda: session.run(None, feed)}, rounds)]  # noqa: B023
        speeds[name] = 2 * _SIDE**3 / (Timing.of(times).median / 1000) / 1e9
    speeds["bf16"] = _bf16(rounds)
    return speeds


def _fp32() -> tuple[str, onnx.ModelProto, dict[str, np.ndarray]]:
    weights = np.random.default_rng(0).standard_normal((_SIDE, _SIDE)).astype(np.float32)
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    return "fp32", _model([node], {"b": weights}, TensorProto.FLOAT, TensorProto.FLOAT), {"a": weights}


def _int8() -> tuple[str, onnx.ModelProto, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (_SIDE, _SIDE), dtype=np.int8)
    node = helper.make_node("MatMulInteger", ["a", "b"], ["c"])
    model = _model([node], {"b": weights}, TensorProto.UINT8, TensorProto.INT32)
    return "int8", model, {"a": rng.integers(0, 256, (_SIDE, _SIDE), dtype=np.uint8)}


def _model(nodes: list[Any], weights: dict[str, np.ndarray], input_type: int, output_type: int) -> onnx.ModelProto:
    shape = [_SIDE, _SIDE]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("a", input_type, shape)],
        [helper.make_tensor_value_info("c", output_type, shape)],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _bf16(rounds: int) -> float | str:
    """Measure by PyTorch, in giga-operations a second; low where the processor emulates bfloat16."""
    try:
        import torch
    except ImportError:
        return "not measured: PyTorch is not installed"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    matrix = torch.randn(_SIDE, _SIDE, dtype=torch.bfloat16)
    times = [seconds for _, seconds in take_turns({"bf16": lambda: matrix @ matrix}, max(3, rounds // 3))]
    torch.set_num_threads(threads)
    return 2 * _SIDE**3 / (Timing.of(times).median / 1000) / 1e9


def decoding(file: Path, min_size: tuple[int, int] | None, rounds: int) -> float:
    """Measure decoding alone by Pillow, in milliseconds, at the scale that the model allows."""
    data = file.read_bytes()

    def decode() -> None:
        with Image.open(io.BytesIO(data)) as image:
            if min_size:
                image.draft(None, min_size)
            image.load()

    return Timing.of([seconds for _, seconds in take_turns({"decode": decode}, rounds)]).median

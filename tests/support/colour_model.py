"""A model whose answer is how red a photo is, with what may go wrong in its graph behind it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIDE = 8


def colour_model(
    file: Path, *nodes: tuple[Any, ...], batch: str | int = "batch", constants: dict[str, Any] | None = None
) -> Path:
    """Write a model file without self-test and hash, as earlier versions did.

    Args:
        file: File to write.
        nodes: Operator, inputs, output and attributes of the nodes behind the right probabilities, which are `right`
            and of which `brightness` `[N, 1]` is at hand; the last makes `probabilities`.
        batch: Number of rows that the graph says it takes.
        constants: Values of other inputs of the nodes, by name.
    """
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no model can be built")
    helper, kinds = onnx.helper, onnx.TensorProto
    values: dict[str, Any] = {
        "weights": np.array([[-0.01, 0.01], [0, 0], [0.01, -0.01]], np.float32),
        "sides": np.array([1, 2]),
        "last": np.array([-1]),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["levels"], to=kinds.FLOAT),
            helper.make_node("ReduceMean", ["levels", "sides"], ["colour"], keepdims=0),
            helper.make_node("ReduceMean", ["colour", "last"], ["brightness"]),
            helper.make_node("MatMul", ["colour", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["right"]),
            *(helper.make_node(op, ins, outs, **more) for op, ins, outs, more in nodes or IDENTITY),
        ],
        "colour",
        [helper.make_tensor_value_info("image", kinds.UINT8, [batch, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("probabilities", kinds.FLOAT, [None if batch == "batch" else batch, 2])],
        [onnx.numpy_helper.from_array(value, name) for name, value in (values | (constants or {})).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"aiface": json.dumps(MANIFEST)})
    onnx.save(model, file)
    return file


IDENTITY: tuple[tuple[Any, ...], ...] = (("Identity", ["right"], ["probabilities"], {}),)
MANIFEST = {
    "schema": 1,
    "name": "colour",
    "version": "1",
    "labels": ["real", "ai"],
    "ai_labels": ["ai"],
    "input": {
        "height": SIDE,
        "width": SIDE,
        "steps": [{"op": "resize", "height": SIDE, "width": SIDE, "filter": "box"}],
    },
    "operating_points": {"balanced": {"real_below": 0.5, "ai_from": 0.5}},
}

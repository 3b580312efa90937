"""A model whose evidence is how red a part of the photo is, and its faces how green, and pictures for it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

SIDE, CELLS, BIAS = 64, 4, -1.5
FACES = {"height": CELLS, "width": CELLS, "present_from": 0.5, "cell_from": 0.7, "small_below": 0.12}


def red_model(
    file: Path,
    *,
    promised: bool = True,
    returned: bool = True,
    faces: Mapping[str, object] | None = None,
    returns_faces: bool = False,
    reasons: Mapping[str, object] | None = None,
) -> Path:
    """Write a model whose log-odds are the mean redness, red less blue in hundreds of levels, and a bias.

    Args:
        file: File to write.
        promised: Whether the manifest says that the graph has evidence.
        returned: Whether the graph has it.
        faces: Size and thresholds of the face map, which is how green the cells are, for the manifest.
        returns_faces: Whether the graph has one.
        reasons: Rules that were measured for it, for the manifest.
    """
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no model can be built to explain")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Transpose", ["image"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["nchw"], ["levels"], to=floats),
        helper.make_node("AveragePool", ["levels"], ["cells"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("GlobalAveragePool", ["cells"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["vector"]),
        helper.make_node("Gemm", ["vector", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    if returned:
        nodes.append(helper.make_node("Conv", ["cells", "kernel"], ["contributions"]))
        nodes.append(helper.make_node("Reshape", ["contributions", "grid"], ["evidence"]))
    if returns_faces:
        nodes.append(helper.make_node("Conv", ["cells", "green"], ["greenness"]))
        nodes.append(helper.make_node("Reshape", ["greenness", "grid"], ["faces"]))
    red = np.array([0.01, 0.0, -0.01], dtype=np.float32)
    constants: dict[str, Any] = {
        "weights": np.stack([-red / 2, red / 2], axis=1),
        "bias": np.array([-BIAS / 2, BIAS / 2], dtype=np.float32),
        "kernel": red.reshape(1, 3, 1, 1),
        "green": np.array([0.0, 1 / 255, 0.0], dtype=np.float32).reshape(1, 3, 1, 1),
        "grid": np.array([-1, CELLS, CELLS]),
    }
    outputs = {"probabilities": [2]}
    outputs |= {name: [CELLS, CELLS] for name, has in (("faces", returns_faces), ("evidence", returned)) if has}
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info(name, floats, ["batch", *shape]) for name, shape in outputs.items()],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    manifest = {
        "schema": 1,
        "name": "red",
        "version": "1",
        "labels": ["real", "ai"],
        "ai_labels": ["ai"],
        "input": {
            "height": SIDE,
            "width": SIDE,
            "scaled_decoding": 2.0,
            "steps": [
                {"op": "resize_shorter", "size": 80, "filter": "bicubic"},
                {"op": "center_crop", "height": SIDE, "width": SIDE},
            ],
        },
        "operating_points": {"balanced": {"real_below": 0.5, "ai_from": 0.5}},
        "evidence": {"height": CELLS, "width": CELLS, "bias": BIAS} if promised else None,
    }
    if faces:
        manifest["faces"] = dict(faces)
    if reasons:
        manifest["reasons"] = dict(reasons)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"aiface": json.dumps(manifest)})
    onnx.save(model, file)
    return file


def spotted(width: int, height: int, spot: tuple[float, float], radius: float) -> Image.Image:
    """Draw a red disc on blue."""
    picture = Image.new("RGB", (width, height), (60, 60, 160))
    x, y = spot
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=(250, 20, 20))
    return picture


def encoded(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()

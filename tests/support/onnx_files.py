"""Small ONNX files of the kinds that people have, and what onnxruntime answers to them as they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from transformers import ViTImageProcessor

SIDE = 32
Node = tuple[str, Sequence[str], Sequence[str], dict[str, Any]]


def network(outputs: int = 2, batch: str | int = "batch", *, scale: float = 1.0, bias: float = 0.0) -> onnx.ModelProto:
    """Return a random network from float32 `pixels [N, 3, 32, 32]` to `logits [N, C]`, by convolution and average."""
    rng = np.random.default_rng(0)
    weights = {
        "filters": rng.normal(0, 0.12, (8, 3, 4, 4)).astype(np.float32),
        "weights": rng.normal(0, 0.8 * scale, (8, outputs)).astype(np.float32),
        "bias": np.full(outputs, bias, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["pixels", "filters"], ["cells"], strides=[4, 4]),
        helper.make_node("Relu", ["cells"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
        helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, outputs])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def ending(
    model: onnx.ModelProto, nodes: Iterable[Node], outputs: dict[str, Sequence[Any]], **constants: ArrayLike
) -> onnx.ModelProto:
    """Append nodes to a network and let it give other outputs, of these shapes."""
    model.graph.node.extend(helper.make_node(op, ins, outs, **more) for op, ins, outs, more in nodes)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(each), key) for key, each in constants.items())
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()
    )
    return model


def describe(folder: Path, labels: Sequence[str] = ("real", "ai"), side: int = SIDE, **config: Any) -> None:
    """Write the two files that describe a network; levels of a mean of 0.5 lie between two numbers of 8 bits."""
    means = {"image_mean": [0.5, 0.5, 0.45], "image_std": [0.5, 0.5, 0.4]}
    ViTImageProcessor(size={"height": side, "width": side}, resample=3, **means).save_pretrained(folder)
    document = {"id2label": {str(index): label for index, label in enumerate(labels)}, **config}
    (folder / "config.json").write_text(json.dumps(document))


def raw_answers(file: Path, folder: Path, photos: Sequence[Image.Image], output: str | None = None) -> NDArray[Any]:
    """Return what onnxruntime answers to photos one by one, by transformers' processor: float64 `[N, C]`."""
    processor = ViTImageProcessor.from_pretrained(folder)
    session = onnxruntime.InferenceSession(str(file))
    start, name = session.get_inputs()[0], output or session.get_outputs()[0].name
    rows = []
    for photo in photos:
        pixels = processor(photo, return_tensors="np")["pixel_values"]
        pixels = pixels.astype(np.float16 if "float16" in start.type else np.float32)
        pixels = pixels.transpose(0, 2, 3, 1) if start.shape[3] == 3 else pixels
        rows.append(session.run([name], {start.name: pixels})[0].reshape(-1))
    return np.array(rows, dtype=np.float64)

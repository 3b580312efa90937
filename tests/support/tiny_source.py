"""A classifier small enough to be written by hand: the mean colour and one linear layer, in numpy and as a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from aiface_export.source import Origin, Preprocessing, Source
from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.preprocess import preprocess
from aiface_runtime.steps import CenterCrop, Resize, ResizeShorter

SIDE = 8
WEIGHTS = np.array([[6.0, -6.0], [-2.0, 1.0], [1.0, 2.0]], dtype=np.float32)  # red counts towards the first label
BIAS = np.array([-1.0, 0.5], dtype=np.float32)


def tiny_graph(weights: NDArray[np.float32] = WEIGHTS, before: str = "GlobalAveragePool") -> onnx.ModelProto:
    """Return a graph from float32 `pixels [N, 3, 8, 8]` to `logits [N, C]`."""
    nodes = [
        helper.make_node(before, ["pixels"], ["mean"], name="pool"),
        helper.make_node("Flatten", ["mean"], ["features"], name="flatten"),
        helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"], name="linear"),
    ]
    bias = np.resize(BIAS, weights.shape[1])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@dataclass(frozen=True, kw_only=True)
class TinySource(Source):
    """The classifier in numpy, with an exporter that may give another graph than the right one."""

    graph: onnx.ModelProto
    weights: NDArray[np.float32]

    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        pixels = np.stack([preprocess(load_rgb(photo), self.preprocessing.steps) for photo in photos])
        features = pixels.astype(np.float64).mean(axis=(1, 2)) / 255
        logits = features @ self.weights + np.resize(BIAS, self.weights.shape[1])
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)

    def exporters(self) -> Mapping[str, Callable[[], onnx.ModelProto]]:
        copy = onnx.ModelProto()
        copy.CopyFrom(self.graph)
        return {"by hand": lambda: copy}


def tiny_source(
    graph: onnx.ModelProto | None = None, *, weights: NDArray[np.float32] = WEIGHTS, resize: Any = None, **more: Any
) -> TinySource:
    """Return a source of labels real and ai that is its own reference; `graph` for an exporter that gets it wrong."""
    step = resize or Resize(SIDE, SIDE, "bilinear")
    steps = (step, CenterCrop(SIDE, SIDE)) if isinstance(step, ResizeShorter) else (step,)
    ones = np.ones(3, dtype=np.float32)
    fields: dict[str, Any] = {
        "name": "tiny",
        "labels": ("real", "ai"),
        "ai_labels": ("ai",),
        "preprocessing": Preprocessing(steps=steps, height=SIDE, width=SIDE, scale=ones / 255, offset=0 * ones),
        "head": "logits",
        "origin": Origin(framework="numpy", architecture="Tiny", checkpoint="tiny", weights_sha256="0" * 64),
        "reference": "numpy, float64",
    }
    return TinySource(graph=graph or tiny_graph(weights), weights=weights, **(fields | more))

"""The models that are timed, in every form that a subject reads.

The bundled one with its own weights; Swin-tiny and the reference ResNet with random ones, which take as long.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from aiface_runtime.catalog import resolve

from .subjects import CHECKPOINT, FILE, FLOAT, KERAS, LITE


def make(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Make what is not there yet, each model in a folder of its own.

    Returns:
        What could not be made, and why.
    """
    problems = []
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for step in _STEPS[name]:
            try:
                step(folder / name)
            except Exception as error:  # noqa: BLE001 frameworks fail in every way there is; the subjects say so too
                problems.append(f"{name}: {step.__name__.strip('_')}: {type(error).__name__}: {error}"[:300])
    return problems


def _bundled_checkpoint(folder: Path) -> None:
    if not (folder / CHECKPOINT).exists():
        save_bundled(folder / CHECKPOINT)


def save_bundled(folder: Path) -> Path:
    """Write the bundled file's weights as a transformers folder.

    The export multiplied batch normalisation into them, so the checkpoint's own only adds.
    """
    import torch

    from aiface_export.networks import EfficientNetLiteConfig, EfficientNetLiteForImageClassification
    from aiface_training.distillation.lite import processor

    stored = {
        tensor.name.removeprefix("net/").removesuffix("/fp16"): torch.from_numpy(
            onnx.numpy_helper.to_array(tensor).copy()
        )
        for tensor in onnx.load(resolve(None)).graph.initializer
    }
    labels: dict[str, Any] = {"id2label": {0: "real", 1: "ai"}, "label2id": {"real": 0, "ai": 1}}
    network = EfficientNetLiteForImageClassification(
        EfficientNetLiteConfig(has_face_head="face_head.weight" in stored, **labels)
    )
    for name, norm in network.named_modules():
        if isinstance(norm, torch.nn.BatchNorm2d):  # follows the convolution in its block, whose name ends in 0
            stored[f"{name}.bias"] = stored[f"{name[:-1]}0.weight_bias"]
            norm.running_var.fill_(1.0 - norm.eps)
    parameters = {name: stored.get(name, value) for name, value in network.state_dict().items()}
    network.load_state_dict(parameters)
    network.save_pretrained(folder)
    processor(network.config.image_size).save_pretrained(folder)
    return folder


def _bundled_file(folder: Path) -> None:
    if not (folder / FILE).exists():
        (folder / FILE).write_bytes(resolve(None).read_bytes())


def _swin_checkpoint(folder: Path) -> None:
    if not (folder / CHECKPOINT).exists():
        from aiface_export.testing.random_checkpoints import save_family

        save_family("swin", folder / CHECKPOINT)


def _bundled_float_graph(folder: Path) -> None:
    """Write a graph by PyTorch, since optimum refuses the network: float pixels in, logits out."""
    if not (folder / FLOAT).exists():
        from aiface_export.sources import open_source

        (folder / FLOAT).parent.mkdir(exist_ok=True)
        with redirect_stdout(io.StringIO()):
            onnx.save(open_source(str(folder / CHECKPOINT)).exporters()["torch.onnx dynamo"](), folder / FLOAT)
        shutil.copy(folder / CHECKPOINT / "config.json", (folder / FLOAT).parent)


def _float_graph(folder: Path) -> None:
    """Write a graph by optimum: float pixels in, logits out."""
    if not (folder / FLOAT).exists():
        from optimum.exporters.onnx import main_export

        with redirect_stdout(io.StringIO()):
            main_export(
                folder / CHECKPOINT,
                (folder / FLOAT).parent,
                task="image-classification",
                library_name="transformers",
                do_validation=False,
            )


def _exported_file(folder: Path) -> None:
    if not (folder / FILE).exists():
        _export([str(folder / CHECKPOINT), "-o", str(folder / FILE), "--scaled-decoding"])


def _reference_keras(folder: Path) -> None:
    if not (folder / KERAS).exists():
        from aiface_export.testing.random_checkpoints import smooth_pictures
        from aiface_training.keras_resnet.network import random_reference_resnet

        random_reference_resnet(smooth_pictures()).save(folder / KERAS)


def _reference_file(folder: Path) -> None:
    if not (folder / FILE).exists():
        _export([str(folder / KERAS), "-o", str(folder / FILE), "--labels", "ai,real"])


def _reference_lite(folder: Path) -> None:
    if not (folder / LITE).exists():
        import keras
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model(folder / KERAS, compile=False))
        (folder / LITE).write_bytes(converter.convert())


def _export(arguments: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "aiface_export", *arguments], check=True, capture_output=True)


_STEPS: Mapping[str, tuple[Callable[[Path], None], ...]] = {
    "bundled": (_bundled_checkpoint, _bundled_file, _bundled_float_graph),
    "swin_tiny": (_swin_checkpoint, _exported_file, _float_graph),
    "reference_resnet": (_reference_keras, _reference_file, _reference_lite),
}
NAMES = tuple(_STEPS)


def weights_and_work(file: Path) -> tuple[int, float]:
    """Return a graph's size in bytes, and GFLOP of its convolutions and products a photo (2 per multiply-add)."""
    loaded = onnx.load(file)
    loaded.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del loaded.graph.value_info[:]  # of any batch size
    model = onnx.shape_inference.infer_shapes(loaded, data_prop=True)
    shapes = {
        value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)
    } | {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    total = 0.0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += 2.0 * np.prod(shapes[node.output[0]]) * np.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("MatMul", "Gemm") and node.output[0] in shapes and node.input[0] in shapes:
            total += 2.0 * np.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    return file.stat().st_size, float(total / 1e9)

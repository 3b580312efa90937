"""The checkpoints that docs/export.md exports: all but the bundled model with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiface_export.testing.random_checkpoints import FAMILIES, save_family


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to export.

    Attributes:
        name: Name in the table.
        framework: Framework that made it.
        save: Writes it below a folder, its answers spread over pictures, and returns its path.
        options: Options of `aiface-export`; `{folder}` stands for the folder that was written to.
        variants: Whether fp16 and int8 are tried too; not where another row exports the same network.
        precision: Precision of the file that is written without variants.
    """

    name: str
    framework: str
    save: Callable[[Path, Sequence[Image.Image]], Path]
    options: tuple[str, ...] = ()
    variants: bool = True
    precision: str = "fp32"


def checkpoints() -> list[Checkpoint]:
    """Return the bundled model, the hub's families, the reference ResNet in its forms, and other kinds of sources."""
    return [
        Checkpoint("bundled model, trained", "transformers", _save_bundled),
        *(Checkpoint(name, "transformers", partial(_save_family, name)) for name in FAMILIES),
        *(_reference(form, channels) for form in (".h5", ".keras", "SavedModel") for channels in ("bgr", "rgb")),
        Checkpoint("vit, one output", "transformers", _save_one_output, ("--labels", "Real,Fake"), variants=False),
        Checkpoint("vit, two independent labels", "transformers", _save_independent, variants=False),
        *(_application(name, words) for name, words in _APPLICATIONS.items()),
        *(_onnx(precision) for precision in ("fp32", "fp16", "int8")),
    ]


_APPLICATIONS: Mapping[str, tuple[str, ...]] = {  # of keras.applications, and what their files do not say
    "MobileNetV3Small": (),
    "EfficientNetB0": (),
    "ConvNeXtTiny": (),
    "ResNet50": ("--range", "caffe"),
    "DenseNet121": ("--range", "torch"),
    "Xception": ("--range", "-1-1"),
}


def _onnx(precision: str) -> Checkpoint:
    folder = "{folder}/mobilenet_v2"
    options = ("--processor", f"{folder}/preprocessor_config.json", "--config", f"{folder}/config.json")
    save = partial(_save_onnx, precision)
    return Checkpoint(f"mobilenet_v2 .onnx {precision}", "onnx", save, options, variants=False, precision=precision)


def _application(name: str, words: tuple[str, ...]) -> Checkpoint:
    options = ("--labels", "real,ai", "--channels", "rgb", "--resize", "bilinear", *words)
    return Checkpoint(f"{name} .keras", "keras", partial(_save_application, name), options, variants=False)


def _reference(form: str, channels: str) -> Checkpoint:
    options = ("--labels", "ai,real", "--channels", channels)
    variants = (form, channels) == (".h5", "bgr")
    name = f"reference ResNet {form} {channels}"
    return Checkpoint(name, "keras", partial(_save_reference, form), options, variants)


def _save_bundled(folder: Path, _: Sequence[Image.Image]) -> Path:
    from .models import save_bundled

    return save_bundled(folder / "bundled")


def _save_family(name: str, folder: Path, pictures: Sequence[Image.Image]) -> Path:
    return save_family(name, folder / name, pictures=pictures)


def _save_reference(form: str, folder: Path, pictures: Sequence[Image.Image]) -> Path:
    from aiface_training.keras_resnet.network import random_reference_resnet

    network = random_reference_resnet(pictures)
    if not form.startswith("."):
        network.export(folder / form, verbose=False)
        return folder / form
    network.save(file := folder / f"reference{form}")
    return file


def _save_one_output(folder: Path, pictures: Sequence[Image.Image]) -> Path:
    from transformers import ViTForImageClassification

    model = ViTForImageClassification.from_pretrained(_save_family("vit", folder, pictures))
    weight, bias = model.classifier.weight.data, model.classifier.bias.data
    model.classifier.weight.data, model.classifier.bias.data = weight[1:] - weight[:1], bias[1:] - bias[:1]
    model.config.id2label, model.config.label2id = {0: "Fake"}, {"Fake": 0}
    model.save_pretrained(folder / "vit")
    return folder / "vit"


def _save_independent(folder: Path, pictures: Sequence[Image.Image]) -> Path:
    config = _save_family("vit", folder, pictures) / "config.json"
    values = json.loads(config.read_text()) | {"problem_type": "multi_label_classification"}
    config.write_text(json.dumps(values))
    return config.parent


def _save_application(name: str, folder: Path, pictures: Sequence[Image.Image]) -> Path:
    """Save a network of keras.applications whose last layer is scaled until its answers differ."""
    import keras

    keras.utils.set_random_seed(0)
    body = getattr(keras.applications, name)(weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3))
    means = body.predict(np.stack([np.asarray(picture.convert("RGB").resize((224, 224))) for picture in pictures]))
    scale = 1 / max(1e-6, float(means.std(0).mean()) * means.shape[1] ** 0.5)
    weights = np.random.default_rng(0).normal(0, scale, (means.shape[1], 2)).astype(np.float32)
    head = keras.layers.Dense(2, activation="softmax")
    network = keras.Sequential([body, head])
    head.set_weights([weights, -(means @ weights).mean(0)])
    network.save(file := folder / f"{name}.keras")
    return file


def _save_onnx(bits: str, folder: Path, pictures: Sequence[Image.Image]) -> Path:
    """Export by torch.onnx as others do, and put the file into fewer bits by onnxruntime's tools."""
    import onnx
    import torch
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    checkpoint, file = _save_family("mobilenet_v2", folder, pictures), folder / "mobilenet_v2.onnx"
    model = AutoModelForImageClassification.from_pretrained(checkpoint).eval()
    processor = AutoImageProcessor.from_pretrained(checkpoint)
    torch.onnx.export(model, (torch.zeros(1, 3, 224, 224),), file, dynamo=True, external_data=False, verbose=False)
    if bits == "fp16":
        onnx.save(convert_float_to_float16(onnx.load(file), keep_io_types=True), file)
    if bits == "int8":

        class Photos(CalibrationDataReader):  # type: ignore[misc] # onnxruntime is not typed
            rows = iter(pictures)

            def get_next(self) -> dict[str, NDArray[np.float32]] | None:
                picture = next(self.rows, None)
                return picture and dict(processor(picture, return_tensors="np"))

        quantize_static(file, file, Photos())
    return file

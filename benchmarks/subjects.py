"""What is compared: each a way to get the same answer from the same photo with the same model.

A subject is opened in a process of its own, where it imports what it needs and nothing else.
"""
# ruff: noqa: D102 what the methods do stands with the base class

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aiface_runtime.manifest import Manifest

# In a model's folder, from `models.make`.
FILE, FLOAT, CHECKPOINT = "model.onnx", "float/model.onnx", "checkpoint"
KERAS, LITE = "reference.keras", "reference.tflite"

_AI = "ai"


class Subject(ABC):
    """One way to an answer.

    Args:
        folder: Folder of the model, by `models.make`.
        threads: Cores to use; 0 for the library's own default.
    """

    @abstractmethod
    def __init__(self, folder: Path, threads: int) -> None: ...

    @abstractmethod
    def answer(self, file: Path) -> float:
        """Return P(AI) of a file, 0 to 1."""

    @abstractmethod
    def prepare(self, batch_size: int) -> Any:
        """Return input for `run`: pixels in the shape and type that the model takes."""

    @abstractmethod
    def run(self, batch: Any) -> Any:
        """Run the model alone."""

    def answer_all(self, files: Sequence[Path]) -> int:
        """Answer many files, as the library does it best; return how many there were."""
        return len([self.answer(file) for file in files])


class AifaceRuntime(Subject):
    """This library."""

    def __init__(self, folder: Path, threads: int) -> None:
        from aiface_runtime import Classifier

        self._file, self._threads = folder / FILE, threads or None
        self._classifier = Classifier(self._file, device="cpu", threads=self._threads)

    def answer(self, file: Path) -> float:
        return self._classifier.predict(file).p_ai

    def prepare(self, batch_size: int) -> Any:
        import numpy as np

        from aiface_runtime.engine import Engine

        self._engine = Engine(self._file, "cpu", threads=self._threads)
        manifest = self._classifier.manifest
        return np.random.default_rng(0).integers(0, 256, (batch_size, manifest.height, manifest.width, 3), np.uint8)

    def run(self, batch: Any) -> Any:
        return self._engine.run(batch).probabilities

    def answer_all(self, files: Sequence[Path]) -> int:
        return len(list(self._classifier.predict_many(files, batch_size=32, on_error="raise")))


class TransformersPipeline(Subject):
    """`pipeline("image-classification")` on PyTorch as it comes."""

    compiled = False

    def __init__(self, folder: Path, threads: int) -> None:
        import torch
        from transformers import pipeline
        from transformers.utils import logging

        from aiface_export import networks  # noqa: F401 which transformers' Auto classes then know

        logging.set_verbosity_error()
        if threads:
            torch.set_num_threads(threads)
        self._torch: Any = torch
        self._pipeline: Any = pipeline("image-classification", str(folder / CHECKPOINT), device="cpu", use_fast=False)
        if self.compiled:
            self._pipeline.model = torch.compile(self._pipeline.model)

    def answer(self, file: Path) -> float:
        return next(float(row["score"]) for row in self._pipeline(str(file)) if row["label"] == _AI)

    def prepare(self, batch_size: int) -> Any:
        side = self._pipeline.image_processor.size
        pixels = side.get("height") or self._pipeline.image_processor.crop_size["height"]
        return self._torch.rand(batch_size, 3, pixels, pixels)

    def run(self, batch: Any) -> Any:
        with self._torch.inference_mode():
            return self._pipeline.model(batch).logits

    def answer_all(self, files: Sequence[Path]) -> int:
        return len(self._pipeline([str(file) for file in files], batch_size=8))


class TransformersCompiled(TransformersPipeline):
    """The same with `torch.compile`."""

    compiled = True


class _Processed(Subject):
    """transformers' image processor, then something that takes its float pixels."""

    def __init__(self, folder: Path, threads: int) -> None:  # noqa: ARG002 threads are the engine's
        from transformers import AutoImageProcessor

        self._processor: Any = AutoImageProcessor.from_pretrained(folder / CHECKPOINT, use_fast=False)

    def answer(self, file: Path) -> float:
        import numpy as np
        from PIL import Image

        pixels = self._processor(Image.open(file).convert("RGB"), return_tensors="np")["pixel_values"]
        logits = np.asarray(self.run(pixels), dtype=np.float64)[0]
        shares = np.exp(logits - logits.max())
        return float(shares[1] / shares.sum())

    def prepare(self, batch_size: int) -> Any:
        import numpy as np
        from PIL import Image

        pixels = self._processor(Image.new("RGB", (300, 300)), return_tensors="np")["pixel_values"]
        return np.repeat(pixels.astype(np.float32), batch_size, axis=0)


class PlainOnnxruntime(_Processed):
    """onnxruntime as a user would write it, with the processor of transformers."""

    def __init__(self, folder: Path, threads: int) -> None:
        super().__init__(folder, threads)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if threads:
            options.intra_op_num_threads = threads
        self._session: Any = onnxruntime.InferenceSession(folder / FLOAT, options, providers=["CPUExecutionProvider"])

    def run(self, batch: Any) -> Any:
        return self._session.run(None, {"pixel_values": batch})[0]


class Optimum(_Processed):
    """optimum's model class on onnxruntime."""

    def __init__(self, folder: Path, threads: int) -> None:
        super().__init__(folder, threads)
        import onnxruntime
        from optimum.onnxruntime import ORTModelForImageClassification

        options = onnxruntime.SessionOptions()
        if threads:
            options.intra_op_num_threads = threads
        self._model: Any = ORTModelForImageClassification.from_pretrained(
            (folder / FLOAT).parent, session_options=options, provider="CPUExecutionProvider"
        )

    def run(self, batch: Any) -> Any:
        return self._model(pixel_values=batch).logits


class OpenVino(Subject):
    """OpenVINO on this library's own file, behind this library's own decoding: only the engine differs.

    As it comes it computes in bfloat16 where the processor can, which moves answers.
    """

    precision: str | None = None

    def __init__(self, folder: Path, threads: int) -> None:
        import openvino

        from aiface_runtime.engine import Engine

        self._manifest = Engine(folder / FILE, "cpu", threads=1).manifest
        settings: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        if self.precision:
            settings["INFERENCE_PRECISION_HINT"] = self.precision
        self._model: Any = openvino.Core().compile_model(folder / FILE, "CPU", settings)
        self._ai_index = self._manifest.labels.index(self._manifest.ai_labels[0])

    def answer(self, file: Path) -> float:
        return float(self.run(pixels_of(file, self._manifest)[None])[0, self._ai_index])

    def prepare(self, batch_size: int) -> Any:
        import numpy as np

        shape = (batch_size, self._manifest.height, self._manifest.width, 3)
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    def run(self, batch: Any) -> Any:
        return self._model(batch)[0]


class OpenVinoFp32(OpenVino):
    """The same with this library's answers."""

    precision = "f32"


class _OpenCv(Subject):
    """What the reference ResNet's card does: OpenCV, then the network."""

    def answer(self, file: Path) -> float:
        import cv2

        image: Any = cv2.imread(str(file))
        pixels = (cv2.resize(image, (224, 224)) / 255.0).astype("float32")
        return 1.0 - float(self.run(pixels[None])[0, 0])

    def prepare(self, batch_size: int) -> Any:
        import numpy as np

        return np.random.default_rng(0).random((batch_size, 224, 224, 3), np.float32)


class Keras(_OpenCv):
    """Keras on TensorFlow, as the card has it."""

    def __init__(self, folder: Path, threads: int) -> None:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow as tf

        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        import keras

        self._model: Any = keras.models.load_model(folder / KERAS, compile=False)

    def run(self, batch: Any) -> Any:
        return self._model.predict_on_batch(batch)


class LiteRt(_OpenCv):
    """LiteRT, which was TensorFlow Lite."""

    def __init__(self, folder: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        if not (folder / LITE).exists():
            raise FileNotFoundError("not converted: LiteRT has no converter for this network in this environment")
        self._interpreter: Any = Interpreter(str(folder / LITE), num_threads=threads or None)
        self._shape: Any = None

    def run(self, batch: Any) -> Any:
        if batch.shape != self._shape:
            self._interpreter.resize_tensor_input(self._interpreter.get_input_details()[0]["index"], batch.shape)
            self._interpreter.allocate_tensors()
            self._shape = batch.shape
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], batch)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._interpreter.get_output_details()[0]["index"])


def pixels_of(file: Path, manifest: Manifest) -> NDArray[np.uint8]:
    """Decode and resize a photo as this library does, to uint8 RGB `[H, W, 3]`."""
    from aiface_runtime.images import decode
    from aiface_runtime.preprocess import min_decode_size, preprocess

    decoded = decode(file, min_decode_size(manifest))
    return preprocess(decoded.pixels, manifest.steps, decoded.box)


OURS = "aiface_runtime"
_HUB: dict[str, type[Subject]] = {
    OURS: AifaceRuntime,
    "transformers pipeline, torch eager": TransformersPipeline,
    "transformers pipeline, torch.compile": TransformersCompiled,
    "optimum, transformers processor": Optimum,
    "onnxruntime, transformers processor": PlainOnnxruntime,
    "OpenVINO in fp32, our file and decoding": OpenVinoFp32,
    "OpenVINO as it comes, our file and decoding": OpenVino,
    "LiteRT": LiteRt,
}
_KERAS: dict[str, type[Subject]] = {
    OURS: AifaceRuntime,
    "Keras on TensorFlow, OpenCV": Keras,
    "LiteRT, OpenCV": LiteRt,
    "OpenVINO in fp32, our file and decoding": OpenVinoFp32,
    "OpenVINO as it comes, our file and decoding": OpenVino,
}
SUBJECTS: dict[str, dict[str, type[Subject]]] = {"bundled": _HUB, "swin_tiny": _HUB, "reference_resnet": _KERAS}

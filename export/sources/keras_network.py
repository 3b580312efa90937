"""A network in one of Keras' three forms, opened with TensorFlow or PyTorch, whichever is installed.

TensorFlow opens `.h5` and `.keras` files and SavedModel folders; PyTorch, as Keras' backend, `.h5` files and the
`.keras` files of Keras 3. This module imports neither before it is asked to open something.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..errors import SourceError
from ..source import first_line

OPSET = 18
_MIN_SCALE_OF_UNITS = 0.1  # 1/255 and 1/127.5 are for bytes; what networks do to 0 to 1 is of the order of 1
_INSTALL = 'pip install "aiface[export-keras]"'


@dataclass(frozen=True, kw_only=True)
class Network:
    """What the three forms have in common.

    Attributes:
        name: The network's own name.
        framework: `keras`, or `tensorflow` for a SavedModel, which keeps a graph and no layers.
        shape: Height, width and channels of the input; None where it takes any.
        input_max: Value of a full channel: 1, or 255 where the network rescales pixels itself.
        num_outputs: Number of answers to a photo.
        final_activation: Name of the last function: `sigmoid`, `softmax` or another.
        reference: Framework that `answers` computes with, and its version, for the record of the proof.
        answers: Function from float32 `[N, height, width, 3]` to float32 `[N, num_outputs]`.
        exporters: Exporters by name, as in `Source`.
    """

    name: str
    framework: str
    shape: tuple[int | None, ...]
    input_max: float
    num_outputs: int | None
    final_activation: str
    reference: str
    answers: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    exporters: Mapping[str, Callable[[], onnx.ModelProto]]


def is_saved_model(path: Path) -> bool:
    """Tell whether it is a folder that TensorFlow saved."""
    return (path / "saved_model.pb").is_file()


def open_network(path: Path) -> Network:
    """Open a `.h5` or `.keras` file or a SavedModel folder.

    Raises:
        SourceError: The file is damaged, has several inputs or outputs, or a package to open it is missing.
    """
    try:
        return _open_saved_model(path) if is_saved_model(path) else _open_keras(path)
    except SourceError:
        raise
    except ImportError as error:
        raise SourceError(f"{path}: {first_line(error)}; {_INSTALL}") from error
    except Exception as error:
        raise SourceError(f"{path}: cannot be loaded ({first_line(error)})") from error


def _open_keras(file: Path) -> Network:
    if not file.is_file():
        raise SourceError(f"{file}: no such file")
    if file.suffix == ".keras" and not zipfile.is_zipfile(file):
        raise SourceError(f"{file}: is damaged, a .keras file is a zip archive")
    keras = import_keras(file)
    model = keras.models.load_model(file, compile=False)
    inputs, outputs = _only(model.inputs, "input", file), _only(model.outputs, "output", file)
    return Network(
        name=model.name,
        framework="keras",
        shape=tuple(inputs.shape[1:]),
        input_max=_input_max(keras, model),
        num_outputs=outputs.shape[-1],
        final_activation=_final_activation(keras, model),
        reference=f"keras on {keras.backend.backend()}, float32",
        answers=lambda pixels: np.asarray(keras.ops.convert_to_numpy(model(pixels, training=False))),
        exporters=_exporters(keras, model),
    )


def import_keras(path: Path) -> Any:
    """Import Keras on the backend that is installed, and set the environment for it.

    Args:
        path: Checkpoint that needs Keras, for the message.

    Raises:
        SourceError: Keras is not installed, or no backend for it.
    """
    backend = next((name for name in ("tensorflow", "torch") if util.find_spec(name)), None)
    if backend is None or util.find_spec("keras") is None:
        raise SourceError(f"{path}: needs Keras, with TensorFlow or PyTorch; {_INSTALL}")
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", backend)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow otherwise logs the CPU's features
    import keras

    return keras


def _only(tensors: Any, kind: str, path: Path) -> Any:
    if not isinstance(tensors, list) or len(tensors) != 1:
        count = len(tensors) if tensors else "no fixed"
        raise SourceError(f"{path}: has {count} {kind}s; an image classifier with one is exported")
    return tensors[0]


def _final_activation(keras: Any, model: Any) -> str:
    layer = model
    while isinstance(layer, keras.Model):
        layer = layer.layers[-1]
    function = getattr(layer, "activation", None)
    return str(getattr(function, "__name__", type(layer).__name__)).lower()


def _input_max(keras: Any, model: Any) -> float:
    """Return 255 where the first rescaling layer, if there is one, scales 8-bit levels down, else 1."""
    for layer in model._flatten_layers():  # noqa: SLF001 also those of models within the model
        if isinstance(layer, keras.layers.Rescaling):
            return 255.0 if np.max(np.abs(layer.scale)) < _MIN_SCALE_OF_UNITS else 1.0
    return 1.0


def _exporters(keras: Any, model: Any) -> Mapping[str, Callable[[], onnx.ModelProto]]:
    if keras.backend.backend() == "torch":  # Keras' own takes TorchScript there, whose graph gave other answers
        return {"torch.onnx dynamo": lambda: _by_dynamo(model)}
    return {"keras": lambda: _by_keras(model)}


def _by_keras(model: Any) -> onnx.ModelProto:
    model(np.zeros((1, *model.inputs[0].shape[1:]), dtype=np.float32))  # it refuses a model that never ran
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        model.export(file, format="onnx", verbose=False, opset_version=OPSET)
        return onnx.load(file)


def _by_dynamo(model: Any) -> onnx.ModelProto:
    from .torch_exporter import by_dynamo

    return by_dynamo(model.eval(), model.inputs[0].shape[1:], OPSET)


def _open_saved_model(folder: Path) -> Network:
    if util.find_spec("tensorflow") is None:
        raise SourceError(f"{folder}: only TensorFlow reads a SavedModel folder; {_INSTALL}, or export its .h5 file")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    if (signature := loaded.signatures.get("serving_default")) is None:
        raise SourceError(f"{folder}: has no serving signature (serving_default); save it with model.export")
    name, pixels = _only(list(signature.structured_input_signature[1].items()), "input", folder)
    output, answer = _only(list(signature.structured_outputs.items()), "output", folder)
    # through the loaded object, which owns the variables
    serve = tf.function(lambda image: loaded.signatures["serving_default"](**{name: image})[output])
    shape: tuple[int | None, ...] = tuple(pixels.shape[1:])
    return Network(
        name=folder.resolve().name,
        framework="tensorflow",
        shape=shape,
        input_max=1.0,  # its graph does not tell a rescaling from any other product
        num_outputs=answer.shape[-1],
        final_activation=_frozen_final_activation(signature),
        reference="the SavedModel's serving signature by tensorflow, float32",
        answers=lambda pixels: np.asarray(serve(tf.constant(pixels))),
        exporters={"tf2onnx": lambda: _by_tf2onnx(serve, shape)},
    )


def _frozen_final_activation(signature: Any) -> str:
    """Return the operation behind a graph's output, with calls inlined."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    operation = convert_variables_to_constants_v2(signature).outputs[0].op
    while operation.type == "Identity":
        operation = operation.inputs[0].op
    return str(operation.type).lower()


def _by_tf2onnx(serve: Any, shape: tuple[int | None, ...]) -> onnx.ModelProto:
    import tensorflow as tf
    import tf2onnx

    pixels = tf.TensorSpec((None, *shape), tf.float32, name="pixels")
    model: onnx.ModelProto = tf2onnx.convert.from_function(serve, input_signature=[pixels], opset=OPSET)[0]
    return model

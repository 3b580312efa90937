"""A network in one of Keras' three forms, opened with TensorFlow or PyTorch, whichever is installed.

TensorFlow opens `.h5` and `.keras` files and SavedModel folders; PyTorch, as Keras' backend, `.h5` files and the
`.keras` files of Keras 3. This module imports neither before it is asked to open something.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..errors import SourceError
from ..source import first_line
from .keras_form import INSTALL, OPSET, Network, is_rgb, num_outputs, only
from .keras_input import Expected, expected_input, pictures
from .keras_load import in_float32, load, reason
from .keras_walk import arrivals, final_activation
from .reference_resnet import is_reference_resnet
from .saved_model import open_saved_model


def is_saved_model(path: Path) -> bool:
    """Tell whether it is a folder that TensorFlow saved."""
    return (path / "saved_model.pb").is_file()


def open_network(path: Path) -> Network:
    """Open a `.h5` or `.keras` file or a SavedModel folder.

    Raises:
        SourceError: The file is damaged, has several inputs or outputs, or a package to open it is missing.
    """
    try:
        if is_saved_model(path):
            return open_saved_model(path)
        return _open_keras(path)
    except SourceError:
        raise
    except ImportError as error:
        raise SourceError(f"{path}: {first_line(error)}; {INSTALL}") from error
    except Exception as error:
        raise SourceError(f"{path}: {reason(error)}") from error


def _open_keras(file: Path) -> Network:
    keras = import_keras(file)
    model = load(keras, file)
    inputs, outputs = only(model.inputs, "input", file), only(model.outputs, "output", file)
    reduced = in_float32(model)
    shape: tuple[int | None, ...] = tuple(inputs.shape[1:])
    return Network(
        name=model.name,
        framework="keras",
        shape=shape,
        expected=_expected(keras, model, shape),
        is_reference_resnet=is_reference_resnet(weight.shape for weight in model.weights),
        num_outputs=num_outputs(outputs.shape, file),
        final_activation=final_activation(model),
        reference=f"keras on {keras.backend.backend()}, float32" + " in place of its lower precision" * reduced,
        answers=lambda pixels: np.asarray(keras.ops.convert_to_numpy(model(pixels, training=False))),
        exporters=_exporters(keras, model),
    )


def _expected(keras: Any, model: Any, shape: tuple[int | None, ...]) -> Expected:
    if not is_rgb(shape):
        return Expected()  # refused with its shape
    height, width = (int(side) for side in shape[:2] if side is not None)
    return expected_input(arrivals(keras, model, pictures(height, width)))


def import_keras(path: Path) -> Any:
    """Import Keras on the backend that is installed, and set the environment for it.

    Args:
        path: Checkpoint that needs Keras, for the message.

    Raises:
        SourceError: Keras is not installed, or no backend for it.
    """
    backend = next((name for name in ("tensorflow", "torch") if util.find_spec(name)), None)
    if backend is None or util.find_spec("keras") is None:
        raise SourceError(f"{path}: needs Keras, with TensorFlow or PyTorch; {INSTALL}")
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", backend)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow otherwise logs the CPU's features
    import keras

    return keras


def _exporters(keras: Any, model: Any) -> Mapping[str, Callable[[], onnx.ModelProto]]:
    if keras.backend.backend() == "torch":  # Keras' own takes TorchScript there, whose graph gave other answers
        return {"torch.onnx dynamo": lambda: _by_dynamo(_in_inference(keras, model))}
    return {"keras": lambda: _by_keras(_in_inference(keras, model))}


def _in_inference(keras: Any, model: Any) -> Any:
    """Give the model a float32 input, and tell its layers to predict: exporters would let augmentations take part."""
    image = keras.Input(model.inputs[0].shape[1:], dtype="float32")
    return keras.Model(image, model(image, training=False))


def _by_keras(model: Any) -> onnx.ModelProto:
    model(np.zeros((1, *model.inputs[0].shape[1:]), dtype=np.float32))  # it refuses a model that never ran
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        model.export(file, format="onnx", verbose=False, opset_version=OPSET)
        return onnx.load(file)


def _by_dynamo(model: Any) -> onnx.ModelProto:
    from .torch_exporter import by_dynamo

    return by_dynamo(model.eval(), model.inputs[0].shape[1:], OPSET)

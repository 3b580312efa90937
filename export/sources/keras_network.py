"""A network in one of Keras' three forms, opened with TensorFlow or PyTorch, whichever is installed.

TensorFlow opens `.h5` and `.keras` files and SavedModel folders; PyTorch, as Keras' backend, `.h5` files and the
`.keras` files of Keras 3. This module imports neither before it is asked to open something.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..errors import SourceError
from ..source import first_line
from .keras_input import Expected, expected_input, pictures
from .keras_load import in_float32, load, reason
from .keras_walk import arrivals, final_activation
from .reference_resnet import is_reference_resnet

OPSET = 18
INSTALL = 'pip install "aiface[export-keras]"'


@dataclass(frozen=True, kw_only=True)
class Network:
    """What the three forms have in common.

    Attributes:
        name: The network's own name.
        framework: `keras`, or `tensorflow` for a SavedModel, which keeps a graph and no layers.
        shape: Height, width and channels of the input; None where it takes any.
        expected: What its own operations before the first weights tell of the input.
        is_reference_resnet: Whether it is the reference ResNet, whose input is known.
        num_outputs: Number of answers to a photo.
        final_activation: Name of the last function: `sigmoid`, `softmax` or another.
        reference: Framework that `answers` computes with, and its version, for the record of the proof.
        answers: Function from float32 `[N, height, width, 3]` to float32 `[N, num_outputs]`.
        exporters: Exporters by name, as in `Source`.
    """

    name: str
    framework: str
    shape: tuple[int | None, ...]
    expected: Expected
    is_reference_resnet: bool
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
        if is_saved_model(path):
            from .saved_model import open_saved_model

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


def is_rgb(shape: tuple[int | None, ...]) -> bool:
    """Tell whether it is a fixed height x width x 3."""
    return len(shape) == 3 and None not in shape and shape[2] == 3


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


def only(tensors: Any, kind: str, path: Path) -> Any:
    """Return the one input or output.

    Raises:
        SourceError: There are several, or none that is fixed.
    """
    if not isinstance(tensors, list) or len(tensors) != 1:
        count = len(tensors) if tensors else "no fixed"
        raise SourceError(f"{path}: has {count} {kind}s; an image classifier with one is exported")
    return tensors[0]


def num_outputs(shape: Sequence[int | None], path: Path) -> int | None:
    """Return the number of answers to a photo.

    Raises:
        SourceError: They do not lie in one row.
    """
    if len(shape) != 2:
        shown = " x ".join("any" if side is None else str(side) for side in shape[1:]) or "a single number"
        raise SourceError(f"{path}: its output is {shown}, not a row of answers; end it in keras.layers.Flatten()")
    return shape[1]


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

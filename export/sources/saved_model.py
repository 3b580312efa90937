"""A SavedModel folder, which keeps a graph and no layers; only TensorFlow opens it."""

from __future__ import annotations

import os
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..errors import SourceError
from .keras_form import INSTALL, OPSET, Network, num_outputs, only
from .keras_input import Expected
from .reference_resnet import is_reference_resnet


def open_saved_model(folder: Path) -> Network:
    """Open it by its serving signature.

    Raises:
        SourceError: TensorFlow is not installed, or the folder has no signature with one input and one output.
    """
    if util.find_spec("tensorflow") is None:
        raise SourceError(f"{folder}: only TensorFlow reads a SavedModel folder; {INSTALL}, or export its .h5 file")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    if (signature := loaded.signatures.get("serving_default")) is None:
        raise SourceError(f"{folder}: has no serving signature (serving_default); save it with model.export")
    name, pixels = only(list(signature.structured_input_signature[1].items()), "input", folder)
    output, answer = only(list(signature.structured_outputs.items()), "output", folder)
    # through the loaded object, which owns the variables
    serve = tf.function(lambda image: loaded.signatures["serving_default"](**{name: image})[output])
    shape: tuple[int | None, ...] = tuple(pixels.shape[1:])
    return Network(
        name=folder.resolve().name,
        framework="tensorflow",
        shape=shape,
        expected=Expected(),  # its graph does not tell pre-processing from weights
        is_reference_resnet=is_reference_resnet(variable.shape for variable in signature.variables),
        num_outputs=num_outputs(answer.shape, folder),
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

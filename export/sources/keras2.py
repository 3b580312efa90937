"""What Keras 2 wrote into a `.h5` file, told as Keras 3 reads it; its weights need no change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import SourceError

_MODELS = ("Functional", "Model", "Sequential")
_OPERATIONS = ("TFOpLambda", "SlicingOpLambda")  # layers that call a function of TensorFlow
# Keys of layers that Keras 3 does not take; `groups` is 1 and the others repeat another's, or are for training.
_UNREAD = {
    "DepthwiseConv2D": ("groups",),
    "Conv2DTranspose": ("groups",),
    "SeparableConv2D": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
}
_REVERSED = [..., {"start": None, "stop": None, "step": -1}]  # [..., ::-1]


def rewritten(file: Path, folder: Path) -> Path:
    """Rewrite the configuration in a copy of a `.h5` file of Keras 2; give any other file back.

    Args:
        file: The `.h5` file.
        folder: Folder for the copy.
    """
    import h5py

    if not h5py.is_hdf5(file):
        return file
    with h5py.File(file) as archive:
        version, config = archive.attrs.get("keras_version", ""), archive.attrs.get("model_config")
    if config is None or not str(_text(version)).startswith("2."):
        return file
    copy = folder / "keras3.h5"
    shutil.copyfile(file, copy)
    with h5py.File(copy, "r+") as archive:
        archive.attrs["model_config"] = json.dumps(_layer(json.loads(_text(config))))
    return copy


def operations(keras: Any) -> dict[str, Any]:
    """Give the layers of Keras 2 that Keras 3 lacks, by the names in its files."""

    class Operation(keras.layers.Layer):  # type: ignore[misc] # keras is not known here
        def __init__(self, function: str, **settings: Any) -> None:
            super().__init__(**settings)
            self.function = function

        def call(self, x: Any, **arguments: Any) -> Any:
            return _run(keras, self.function, x, arguments)

    return dict.fromkeys(_OPERATIONS, Operation)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _layer(layer: Mapping[str, Any]) -> dict[str, Any]:
    kind, config = layer["class_name"], dict(layer["config"])
    if config.get("groups", 1) != 1 and "groups" in _UNREAD.get(kind, ()):
        raise SourceError(f"its layer {kind} has {config['groups']} groups, which Keras 3 does not know")
    for key in (*_UNREAD.get(kind, ()), "rng_type"):
        config.pop(key, None)
    if isinstance(policy := config.get("dtype"), dict):
        config["dtype"] = policy["config"]["name"]
    if kind in _MODELS and "layers" in config:
        config = _network(config)
    if "name" in config:
        config["name"] = _name(config["name"])
    if isinstance(inner := config.get("layer"), dict):  # of a wrapper, as TimeDistributed
        config["layer"] = _layer(inner)
    return {"class_name": kind, "config": config}


def _network(config: Mapping[str, Any]) -> dict[str, Any]:
    """Rewrite a model's layers and how they are connected; those of a Sequential are not."""
    nested = {layer.get("name", layer["config"].get("name")) for layer in config["layers"] if _counts_itself(layer)}

    def end(reference: Sequence[Any]) -> list[Any]:
        name, node, tensor, *rest = reference
        return [_name(name), node - (name in nested), tensor, *rest]

    network = {**config, "layers": [_connected(layer, end) for layer in config["layers"]]}
    for key in ("input_layers", "output_layers"):
        if key in config:
            ends = [end(reference) for reference in config[key]]
            network[key] = ends[0] if len(ends) == 1 else ends  # of a list Keras 3 makes a list of one tensor
    return network


def _connected(layer: Mapping[str, Any], end: Callable[[Sequence[Any]], list[Any]]) -> dict[str, Any]:
    layer_of_3 = _layer(layer)
    if "inbound_nodes" not in layer:
        return layer_of_3
    nodes = layer["inbound_nodes"]
    if layer["class_name"] in _OPERATIONS:
        nodes = [[reference] for reference in nodes]  # each has one tensor, and the rest by name
    connected = [[end(reference) for reference in node] for node in nodes]
    return {**layer_of_3, "name": _name(layer["name"]), "inbound_nodes": connected}


def _counts_itself(layer: Mapping[str, Any]) -> bool:
    """Tell whether Keras 2 numbered its calls from 1, as 0 was its own construction."""
    layers = layer["config"].get("layers", []) if layer["class_name"] in _MODELS else []
    return bool(layers) and bool(layers[0]["class_name"] == "InputLayer")


def _name(name: str) -> str:
    return name.replace("/", "_")


def _run(keras: Any, function: str, x: Any, arguments: Mapping[str, Any]) -> Any:
    if function == "cast":
        return keras.ops.cast(x, arguments["dtype"])
    if function == "__operators__.getitem" and list(arguments["slice_spec"]) == _REVERSED:
        return keras.ops.flip(x, axis=-1)
    operators: dict[str, Callable[[Any, Any], Any]] = {
        "math.truediv": lambda a, b: a / b,
        "math.divide": lambda a, b: a / b,
        "math.multiply": lambda a, b: a * b,
        "math.subtract": lambda a, b: a - b,
        "math.add": lambda a, b: a + b,
        "__operators__.add": lambda a, b: a + b,
        "nn.bias_add": lambda a, b: a + b,
    }
    other = arguments.get("y", arguments.get("bias"))
    is_constant = isinstance(other, (int, float)) or (
        isinstance(other, list) and all(isinstance(value, (int, float)) for value in other)
    )
    if function not in operators or not is_constant:
        raise SourceError(f"its operation tf.{function} cannot be told to Keras 3; export its SavedModel")
    return operators[function](x, keras.ops.convert_to_tensor(other, dtype=x.dtype))

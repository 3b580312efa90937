"""Rewrites a `.h5` file of Keras 3 as Keras 2 would have written it: other keys, and operations as layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py

# Of the operations that Keras 3 records: their name in TensorFlow, and the keyword of what is not the tensor.
_OPERATIONS = {"TrueDivide": "math.truediv", "Subtract": "math.subtract", "Multiply": "math.multiply"}
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
_KERNEL = {"kernel_initializer": None, "kernel_regularizer": None, "kernel_constraint": None}


def as_keras_2(file: Path) -> Path:
    """Rewrite the configuration in a `.h5` file; the weights lie in it as those of Keras 2 do."""
    with h5py.File(file, "r+") as archive:
        config = json.loads(archive.attrs["model_config"])
        archive.attrs["model_config"] = json.dumps(_layer(config))
        archive.attrs["keras_version"] = "2.15.0"
    return file


def _layer(layer: dict[str, Any]) -> dict[str, Any]:
    kind = layer["class_name"]
    config = {key: _plain(value, kind) for key, value in layer["config"].items()}
    if "batch_shape" in config:
        config["batch_input_shape"] = config.pop("batch_shape")
        config.pop("optional", None)
    if kind in _CONVOLUTIONS:
        config["groups"] = 1
    if kind == "SeparableConv2D":
        config |= _KERNEL
    if kind == "BatchNormalization":
        config["axis"] = [config["axis"]]
    if "layers" in config:
        config["layers"] = [_layer(inner) for inner in layer["config"]["layers"]]
    for ends in ("input_layers", "output_layers"):
        if ends in config and isinstance(config[ends][0], str):
            config[ends] = [config[ends]]
    rewritten = {**layer, "config": config}
    if kind in _OPERATIONS:
        function = _OPERATIONS[kind]
        rewritten["class_name"] = "TFOpLambda"
        rewritten["config"] = {"name": f"tf.{function}", "trainable": True, "dtype": "float32", "function": function}
    if "inbound_nodes" in layer:
        rewritten["inbound_nodes"] = [_node(node, kind) for node in layer["inbound_nodes"]]
    return rewritten


def _plain(value: Any, kind: str) -> Any:
    if not isinstance(value, dict) or "module" not in value:
        return value
    if value["class_name"] == "DTypePolicy":
        name = value["config"]["name"]
        return name if "mixed" not in name else {"class_name": "Policy", "config": {"name": name}}
    return {"class_name": value["class_name"], "config": value["config"]}


def _node(node: dict[str, Any], kind: str) -> list[list[Any]]:
    (first, *rest) = node["args"]
    tensors = first if isinstance(first, list) else [first]
    other = {"y": rest[0], "name": None} if kind in _OPERATIONS else {}
    return [[*tensor["config"]["keras_history"], other] for tensor in tensors]

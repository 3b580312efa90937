"""A Keras network's graph, walked from its input to its first weights and from its output back to its activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BEHIND_WEIGHTS = object()  # stands for what has gone through weights
# They change nothing, or only the shape, of which the caller sees the last.
_IDENTITIES = ("Dropout", "Flatten", "Reshape", "Identity", "Cast", "Squeeze")


def arrivals(keras: Any, model: Any, pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
    """Run what stands before the first weights.

    Args:
        keras: The package.
        model: Network with one input; nested models are entered.
        pixels: Input of the network.

    Returns:
        What reaches the first weights, once for each operation that has some; nothing of a network that is no graph of
        layers.
    """
    found: list[NDArray[Any]] = []
    if _graph(model) is not None:
        _walk(keras, model, keras.ops.convert_to_tensor(pixels), found)
    return found


def final_activation(model: Any) -> str:
    """Return the name of the function that the output comes from: `sigmoid`, `softmax` or another."""
    tensor = model.outputs[0]
    while True:
        operation, node, index = tensor._keras_history  # noqa: SLF001 Keras' only record of where a tensor comes from
        graph = _graph(operation)
        if graph is not None:
            tensor = graph.outputs[index]
        elif _is_identity(operation):
            tensor = operation._inbound_nodes[node].input_tensors[0]  # noqa: SLF001
        else:
            return _function(operation)


def _is_identity(operation: Any) -> bool:
    kind = type(operation).__name__
    return kind in _IDENTITIES or (kind == "Activation" and operation.activation.__name__ == "linear")


def _function(operation: Any) -> str:
    kind = type(operation).__name__.lower()
    axis = getattr(operation, "axis", -1)
    if kind == "softmax" and axis not in (-1, len(operation.output.shape) - 1):
        return f"softmax over axis {axis}"
    return str(getattr(getattr(operation, "activation", None), "__name__", kind)).lower()


def _graph(operation: Any) -> Any:
    """Return the graph of a model, of a Sequential the one that it keeps; None of a layer or another operation."""
    graph = getattr(operation, "_functional", None) or operation
    return graph if hasattr(graph, "_run_through_graph") else None


def _walk(keras: Any, model: Any, values: Any, found: list[NDArray[Any]]) -> Any:
    def stepping(operation: Any) -> Callable[..., Any]:
        return lambda *args, **kwargs: _step(keras, operation, args, kwargs, found)

    return _graph(model)._run_through_graph(values, operation_fn=stepping)  # noqa: SLF001 as clone_model calls it


def _step(keras: Any, operation: Any, args: Any, kwargs: Any, found: list[NDArray[Any]]) -> Any:
    leaves = keras.tree.flatten((args, kwargs))
    if any(leaf is _BEHIND_WEIGHTS for leaf in leaves):
        return _behind_weights(operation)
    if _graph(operation) is not None:
        return _walk(keras, operation, args, found)
    if not getattr(operation, "weights", None) or isinstance(operation, keras.layers.Normalization):
        # augmentations otherwise take part
        told = {"training": False} if getattr(operation, "_call_has_training_arg", False) else {}
        return operation(*args, **kwargs | told)
    tensors = [leaf for leaf in leaves if keras.ops.is_tensor(leaf)]
    found += [np.asarray(keras.ops.convert_to_numpy(tensor)) for tensor in tensors]
    return _behind_weights(operation)


def _behind_weights(operation: Any) -> list[object]:
    """Return as many outputs as any of its calls has."""
    return [_BEHIND_WEIGHTS] * max(len(node.outputs) for node in operation._inbound_nodes)  # noqa: SLF001

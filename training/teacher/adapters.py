"""Low-rank adapters beside the linear layers of a frozen network (Hu et al., "LoRA", 2021)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from aiface_export.networks import ClipBlocksForImageClassification

ADAPTERS = "adapters.safetensors"

_SCALE = 2.0
_ATTENTION, _PERCEPTRON = ("q_proj", "k_proj", "v_proj", "out_proj"), ("fc1", "fc2")


class AdaptedLinear(nn.Module):
    """A frozen linear layer, and a correction of low rank that learns; at first the correction is 0.

    Args:
        base: The layer.
        rank: Rank of the correction, from 1.
    """

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.lora_a = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output with the correction, `[…, out_features]`."""
        correction = functional.linear(functional.linear(x, self.lora_a), self.lora_b)
        adapted: torch.Tensor = self.base(x) + _SCALE * correction
        return adapted

    def merged(self) -> nn.Linear:
        """Return the layer with the correction in its weights."""
        with torch.no_grad():
            self.base.weight += _SCALE * self.lora_b @ self.lora_a
        return self.base


def add_adapters(
    network: ClipBlocksForImageClassification, blocks: Iterable[int], rank: int
) -> dict[str, nn.Parameter]:
    """Put adapters beside the attention and the perceptron of some blocks of a network.

    Args:
        network: The network; changed in place.
        blocks: Numbers of the blocks, from 1.
        rank: Rank of each correction.

    Returns:
        The parameters that learn, by name.
    """
    for block in blocks:
        layer = network.clip.encoder.layers[block - 1]
        for module, names in ((layer.self_attn, _ATTENTION), (layer.mlp, _PERCEPTRON)):
            for name in names:
                setattr(module, name, AdaptedLinear(getattr(module, name), rank))
    return {name: each for name, each in network.named_parameters() if name.endswith(("lora_a", "lora_b"))}


def save_and_merge(network: ClipBlocksForImageClassification, folder: Path) -> None:
    """Write the adapters in half precision, and merge what was written into the network's own layers."""
    adapters = {}
    for name, module in list(network.named_modules()):
        if isinstance(module, AdaptedLinear):
            for part in ("lora_a", "lora_b"):
                half = getattr(module, part).detach().half().contiguous()
                adapters[f"{name}.{part}"] = half
                getattr(module, part).data.copy_(half)
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, module.merged())
    save_file(adapters, folder / ADAPTERS, {"scale": str(_SCALE)})

"""TAEF2, the tiny autoencoder of FLUX.2's latent space, read from its two files."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from aiface_evaluation.errors import DataError

from ..checkpoint import has_bfloat16

_WIDTH, _LATENT, _STAGES = 64, 32, 3


class _Block(nn.Module):
    """Three 3x3 convolutions and a skip; with `pool`, a wide 1x1 branch first."""

    def __init__(self, pool: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(_WIDTH, _WIDTH), nn.ReLU(), _conv(_WIDTH, _WIDTH), nn.ReLU(), _conv(_WIDTH, _WIDTH)
        )
        self.pool = (
            nn.Sequential(
                nn.Conv2d(_WIDTH, 4 * _WIDTH, 1, bias=False),
                nn.GroupNorm(4, 4 * _WIDTH),
                nn.ReLU(),
                nn.Conv2d(4 * _WIDTH, _WIDTH, 1, bias=False),
            )
            if pool
            else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _Clamp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x / 3) * 3


def _conv(inputs: int, outputs: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


def _encoder() -> nn.Sequential:
    layers: list[nn.Module] = [_conv(3, _WIDTH), _Block()]
    for stage in range(_STAGES):
        layers += [_conv(_WIDTH, _WIDTH, stride=2, bias=False)]
        layers += [_Block(pool=stage == _STAGES - 1) for _ in range(3)]
    return nn.Sequential(*layers, _conv(_WIDTH, _LATENT))


def _decoder() -> nn.Sequential:
    layers: list[nn.Module] = [_Clamp(), _conv(_LATENT, _WIDTH), nn.ReLU()]
    for stage in range(_STAGES):
        layers += [_Block(pool=stage == 0) for _ in range(3)]
        layers += [nn.Upsample(scale_factor=2), _conv(_WIDTH, _WIDTH, bias=False)]
    return nn.Sequential(*layers, _Block(), _conv(_WIDTH, 3))


def load_taef2(folder: Path) -> nn.Module:
    """Load TAEF2 (tiny autoencoder of FLUX.2's latent space) as one network from RGB to RGB, both in [0, 1].

    diffusers' `AutoencoderTiny` does not fit these files: their blocks at 1/8 size have a pooled branch.

    Args:
        folder: Holds `encoder.pth` and `decoder.pth`.

    Raises:
        DataError: The files are missing or of another network.
    """
    network = nn.Sequential(_encoder(), _decoder())
    for part, name in zip(network, ("encoder.pth", "decoder.pth"), strict=True):
        try:
            part.load_state_dict(torch.load(folder / name, weights_only=True, map_location="cpu"))
        except (OSError, RuntimeError, UnpicklingError, EOFError) as error:
            raise DataError(f"{folder / name}: not the weights of TAEF2 ({error})") from error
    network.to(torch.bfloat16 if has_bfloat16() else torch.float32)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in torch's stubs
    return network.eval()

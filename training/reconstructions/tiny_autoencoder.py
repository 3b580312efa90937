"""The tiny autoencoders of latent diffusion models (madebyollin/taesd), each read from its two files."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from aiface_evaluation.errors import DataError

from ..checkpoint import has_bfloat16

_WIDTH, _STAGES = 64, 3
_LATENT_BIAS = "14.bias"  # of the encoder's last layer


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


def _encoder(latent: int, *, pool: bool) -> nn.Sequential:
    layers: list[nn.Module] = [_conv(3, _WIDTH), _Block()]
    for stage in range(_STAGES):
        layers += [_conv(_WIDTH, _WIDTH, stride=2, bias=False)]
        layers += [_Block(pool=pool and stage == _STAGES - 1) for _ in range(3)]
    return nn.Sequential(*layers, _conv(_WIDTH, latent))


def _decoder(latent: int, *, pool: bool) -> nn.Sequential:
    layers: list[nn.Module] = [_Clamp(), _conv(latent, _WIDTH), nn.ReLU()]
    for stage in range(_STAGES):
        layers += [_Block(pool=pool and stage == 0) for _ in range(3)]
        layers += [nn.Upsample(scale_factor=2), _conv(_WIDTH, _WIDTH, bias=False)]
    return nn.Sequential(*layers, _Block(), _conv(_WIDTH, 3))


def load_tiny_autoencoder(folder: Path) -> nn.Module:
    """Load a tiny autoencoder as one network from RGB to RGB, both in [0, 1].

    diffusers' `AutoencoderTiny` does not fit FLUX.2's files: their blocks at 1/8 size have a pooled branch.

    Args:
        folder: Holds `encoder` and `decoder`, `.pth` or `.safetensors`.

    Raises:
        DataError: The files are missing or of another network.
    """
    weights = [_read(folder, part) for part in ("encoder", "decoder")]
    encoder, decoder = weights
    latent = encoder[_LATENT_BIAS].shape[0] if _LATENT_BIAS in encoder else 0
    pool = any(".pool." in name for name in decoder)
    network = nn.Sequential(_encoder(latent, pool=pool), _decoder(latent, pool=pool))
    for part, state in zip(network, weights, strict=True):
        try:
            part.load_state_dict(state)
        except RuntimeError as error:
            raise DataError(f"{folder}: not the weights of a tiny autoencoder ({error})") from error
    network.to(torch.bfloat16 if has_bfloat16() else torch.float32)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in torch's stubs
    return network.eval()


def _read(folder: Path, part: str) -> dict[str, torch.Tensor]:
    """Read a part's tensors; both formats hold them under the names of the layers, in different orders."""
    file = folder / f"{part}.safetensors"
    try:
        if file.is_file():
            return load_file(file)
        file = folder / f"{part}.pth"
        state: dict[str, torch.Tensor] = torch.load(file, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, UnpicklingError, EOFError, SafetensorError) as error:
        raise DataError(f"{file}: not the weights of a tiny autoencoder ({error})") from error
    return state

"""What can be chosen by name, for the commands and for what they run; without PyTorch."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Upsampling: TypeAlias = Literal["nearest", "bilinear", "transposed", "pixel_shuffle"]
Factor: TypeAlias = Literal[4, 8]

UPSAMPLINGS: tuple[Upsampling, ...] = get_args(Upsampling)
FACTORS: tuple[Factor, ...] = get_args(Factor)

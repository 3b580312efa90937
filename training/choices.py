"""What can be chosen by name, for the commands and for what they run; without PyTorch."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Upsampling: TypeAlias = Literal["nearest", "bilinear", "transposed", "pixel_shuffle"]
Factor: TypeAlias = Literal[4, 8]
Split: TypeAlias = Literal["train", "val", "test"]

UPSAMPLINGS: tuple[Upsampling, ...] = get_args(Upsampling)
FACTORS: tuple[Factor, ...] = get_args(Factor)
SPLITS: tuple[Split, ...] = get_args(Split)

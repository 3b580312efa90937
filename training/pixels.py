"""uint8 pixels → what a network takes."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .checkpoint import ImageProcessor


def normaliser(processor: ImageProcessor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what turns uint8 `[N, H, W, 3]` into the network's float32 `[N, 3, H, W]`."""
    mean = torch.tensor(processor.image_mean).view(1, 3, 1, 1)
    deviation = torch.tensor(processor.image_std).view(1, 3, 1, 1)
    return lambda pixels: (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / deviation

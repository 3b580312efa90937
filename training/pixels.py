"""uint8 pixels → what a network takes, and how they are changed on the way."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .checkpoint import ImageProcessor


def normaliser(processor: ImageProcessor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what turns uint8 `[N, H, W, 3]` into the network's float32 `[N, 3, H, W]`."""
    mean = torch.tensor(processor.image_mean).view(1, 3, 1, 1)
    deviation = torch.tensor(processor.image_std).view(1, 3, 1, 1)
    return lambda pixels: (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / deviation


def crop_each(pixels: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """Cut a square of `size` pixels from a random place of each picture, uint8 `[N, H, W, 3]`."""
    positions = torch.tensor(pixels.shape[1:3]) - size + 1
    corners = (torch.rand(len(pixels), 2, generator=generator) * positions).int().tolist()
    cuts = [picture[top : top + size, left : left + size] for picture, (top, left) in zip(pixels, corners, strict=True)]
    return torch.stack(cuts)


def cut_and_mix(
    pixels: torch.Tensor, *targets: torch.Tensor, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, ...]:
    """Paste the same window of another example into each; targets are mixed by their shares of the pixels.

    Where a picture is partly real, neither its style nor its composition gives the answer: the network has to look for
    traces everywhere (Yun et al., "CutMix", 2019, with their uniform share of the area).

    Args:
        pixels: `[N, size, size, 3]`.
        targets: float32 `[N, …]`, such as labels, 0 for real and 1 for AI.
        generator: Source of randomness; PyTorch's own by default.

    Returns:
        Pixels and targets.
    """
    order, size = torch.randperm(len(pixels), generator=generator), pixels.shape[1]
    side = int(size * torch.rand((), generator=generator).sqrt())
    top, left = torch.randint(size - side + 1, (2,), generator=generator).tolist()
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    mixed = pixels.clone()
    mixed[window] = pixels[order][window]
    share = (side / size) ** 2
    return mixed, *((1 - share) * target + share * target[order] for target in targets)

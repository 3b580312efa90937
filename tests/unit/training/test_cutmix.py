"""Windows that are exchanged between photos."""

from __future__ import annotations

import pytest
import torch

from aiface_training.trainer import cut_and_mix

pytestmark = pytest.mark.torch


def test_labels_are_the_share_of_pixels() -> None:
    torch.manual_seed(0)
    labels = torch.tensor([0.0, 1.0, 0.0, 1.0])
    pixels = (labels.view(4, 1, 1, 1) * 255).expand(4, 32, 32, 3).to(torch.uint8)
    for _ in range(20):
        mixed, shares = cut_and_mix(pixels, labels)
        torch.testing.assert_close(mixed.float().mean((1, 2, 3)) / 255, shares)

"""The photos of a run as PyTorch's loaders take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from aiface_export.samples import Sample
from PIL import Image
from torch.utils.data import Dataset

from aiface_runtime.images import load_rgb

from .sampling import Draw
from .transforms import PhotoChain

Example: TypeAlias = dict[str, Any]


class TrainPhotos(Dataset[Example]):
    """Photos through the random chain: `pixels`, uint8 RGB `[size, size, 3]`, and `label`, an index of `LABELS`.

    Args:
        samples: What a draw's index counts.
        chain: What each goes through.
    """

    def __init__(self, samples: Sequence[Sample], chain: PhotoChain) -> None:
        self.samples, self._chain = samples, chain

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, draw: Draw) -> Example:
        sample = self.samples[draw.sample]
        rng = np.random.default_rng(draw.seed)
        photo = self._chain(Image.fromarray(load_rgb(sample.path)), rng, gentle=draw.gentle)
        return {"pixels": np.asarray(photo), "label": sample.target}

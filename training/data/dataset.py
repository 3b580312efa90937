"""The photos of a run as PyTorch's loaders take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from aiface_evaluation.dataset import Sample
from aiface_runtime.images import load_rgb

from .augmentation import Augmentation
from .sampling import SampledExample

Example: TypeAlias = dict[str, Any]

_GLANCE = 32  # pixels


class TrainPhotos(Dataset[Example]):
    """Photos through the random chain: `pixels`, uint8 RGB `[size, size, 3]`, and `label`, an index of `LABELS`.

    Args:
        samples: What a draw's index counts.
        chain: What each goes through.
    """

    def __init__(self, samples: Sequence[Sample], augmentation: Augmentation) -> None:
        self.samples, self._chain = samples, augmentation

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, draw: SampledExample) -> Example:
        sample = self.samples[draw.sample]
        rng = np.random.default_rng(draw.seed)
        other = self._glance(int(rng.integers(len(self.samples)))) if self._chain.colour_transfer else None
        photo = self._chain(Image.fromarray(load_rgb(sample.path)), rng, weak=draw.weak, other=other)
        return {"pixels": np.asarray(photo), "label": sample.target}

    def _glance(self, index: int) -> Image.Image:
        """A photo as far as its tone goes: a JPEG is decoded at an eighth of its size."""
        with Image.open(self.samples[index].path) as photo:
            photo.draft("RGB", (_GLANCE, _GLANCE))
            return photo.convert("RGB")

"""The photos of a run as PyTorch's loaders take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from aiface_evaluation.dataset import Sample
from aiface_runtime.images import load_rgb

from .augmentation import Augmentation
from .sampling import SampledExample


class Example(TypedDict):
    """A photo of a run, and what it is.

    Attributes:
        pixels: uint8 RGB `[size, size, 3]`, of the train split.
        pixel_values: float32 `[3, size, size]`, as the processor gives it, of the val split.
        label: Index of `LABELS`.
    """

    pixels: NotRequired[NDArray[np.uint8]]
    pixel_values: NotRequired[NDArray[np.float32]]
    label: int


_THUMBNAIL = 32  # pixels


class TrainPhotos(Dataset[Example]):
    """Augmented photos, as `pixels`.

    Args:
        samples: Photos that the examples' indices refer to.
        augmentation: Random changes that each photo goes through.
    """

    def __init__(self, samples: Sequence[Sample], augmentation: Augmentation) -> None:
        self.samples, self._augmentation = samples, augmentation

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, example: SampledExample) -> Example:
        sample = self.samples[example.sample]
        rng = np.random.default_rng(example.seed)
        other = self._thumbnail(int(rng.integers(len(self.samples)))) if self._augmentation.colour_transfer else None
        photo = self._augmentation(Image.fromarray(load_rgb(sample.path)), rng, weak=example.weak, other=other)
        return {"pixels": np.asarray(photo), "label": sample.target}

    def _thumbnail(self, index: int) -> Image.Image:
        """Read a photo as far as its colours go: a JPEG is decoded at an eighth of its size."""
        with Image.open(self.samples[index].path) as photo:
            photo.draft("RGB", (_THUMBNAIL, _THUMBNAIL))
            return photo.convert("RGB")

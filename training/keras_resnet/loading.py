"""The photos of a run as Keras takes them: PyTorch's loader, which it accepts on any of its backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from aiface_evaluation.dataset import Sample
from aiface_runtime.images import load_rgb
from aiface_runtime.preprocess import preprocess
from aiface_runtime.steps import Resize

from ..data.dataset import Example, TrainPhotos
from ..data.sampling import EpochSampler
from ..recipe import ReferenceRecipe

Batch: TypeAlias = tuple[torch.Tensor, torch.Tensor]

_VAL_BATCH = 64


class _WholePhotos(Dataset[Example]):
    """Photos as the exported model will see them."""

    def __init__(self, samples: Sequence[Sample], recipe: ReferenceRecipe) -> None:
        self.samples, self._steps = samples, (Resize(recipe.image_size, recipe.image_size, recipe.resize),)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Example:
        sample = self.samples[index]
        return {"pixels": preprocess(load_rgb(sample.path), self._steps), "label": sample.target}


def train_loader(train: Sequence[Sample], sampler: EpochSampler, recipe: ReferenceRecipe) -> DataLoader[Any]:
    """Load the augmented examples of the epoch that `sampler` stands at."""
    return _loader(TrainPhotos(train, recipe.augmentation), sampler, recipe.batch_size, recipe)


def val_loader(val: Sequence[Sample], recipe: ReferenceRecipe) -> DataLoader[Any]:
    """Load whole photos in the order of `val`."""
    return _loader(_WholePhotos(val, recipe), range(len(val)), _VAL_BATCH, recipe)


def _loader(photos: Dataset[Example], order: Any, batch_size: int, recipe: ReferenceRecipe) -> DataLoader[Any]:
    # One worker: beside two there would be no core left to learn on.
    return DataLoader(photos, batch_size, sampler=order, num_workers=1, collate_fn=_collate(recipe))


def _collate(recipe: ReferenceRecipe) -> Callable[[list[Example]], Batch]:
    """Return what makes a batch.

    Pixels become float32 `[N, size, size, 3]`, 0 to 1, in the network's channel order; targets float32 `[N, 1]`, 1 for
    real.
    """

    def collate(examples: list[Example]) -> Batch:
        pixels = np.stack([example["pixels"] for example in examples])
        ordered = pixels[..., ::-1] if recipe.channels == "bgr" else pixels
        is_real = [[float(example["label"] == 0)] for example in examples]
        scaled = np.ascontiguousarray(np.divide(ordered, 255.0, dtype=np.float32))
        return torch.from_numpy(scaled), torch.tensor(is_real, dtype=torch.float32)

    return collate

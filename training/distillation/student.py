"""Distillation: a small network learns the teacher's margin and features, of every view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from ..checkpoint import has_bfloat16
from ..data.store import ViewStore
from ..loop import Batch
from ..pixels import normaliser
from ..standardised import StandardisedHead, smoothed, soft_cross_entropy, standardisation
from .recipe import StudentRecipe
from .start import Start

_FITTED_ON = 4000  # views, to standardise features and to start the head


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """What a student learns from.

    Attributes:
        store: Pixels and features of the views.
        margins: float32 `[views]`, the teacher's.
        taught: Features that the student predicts.
        targets: `[views]`, 1 for AI.
        chances: float64 `[views]`, chance of each view to be drawn; they sum to 1.
    """

    store: ViewStore
    margins: torch.Tensor
    taught: slice
    targets: NDArray[np.int_]
    chances: NDArray[np.float64]

    def draw(self, count: int, seed: Sequence[int]) -> list[int]:
        """Draw views, as many AI as real ones in the long run."""
        rng = np.random.default_rng(list(seed))
        drawn: list[int] = rng.choice(len(self.chances), size=count, p=self.chances).tolist()
        return drawn

    def features(self, indices: Sequence[int]) -> torch.Tensor:
        """Read the features that the student predicts, float32 `[N, taught]`."""
        return self.store.rows("features", indices)[:, self.taught].float()


class Student(nn.Module):
    """The network in training: its cells, a head on their means, and a projection to the teacher's features.

    Args:
        start: The network; its own classifier is not used until `finish`.
        lessons: Views, and what the teacher says of them.
        inverse_penalty: scikit-learn's `C` of the regression that the head starts by, so that the first steps do not
            spoil the layers below it.
    """

    taught_mean: torch.Tensor
    taught_deviation: torch.Tensor

    def __init__(
        self,
        start: Start,
        lessons: Lessons,
        inverse_penalty: float,
    ) -> None:
        super().__init__()
        start.network.train(False)  # for good: BatchNorm's statistics stay those of ImageNet
        self.network, self._normalise, self._lessons = start.network, normaliser(start.processor), lessons
        self._cells_of, self._classifier = start.cells, start.classifier
        indices = lessons.draw(_FITTED_ON, [0])
        means = self._means(indices)
        self.head = StandardisedHead(means)
        self.head.fit(means, lessons.targets[indices], np.ones(len(indices)), inverse_penalty)
        taught = lessons.features(indices)
        mean, deviation = standardisation(taught)
        self.register_buffer("taught_mean", mean)
        self.register_buffer("taught_deviation", deviation)
        self.projection = nn.Linear(len(self.head.weight), taught.shape[1])

    def loss(self, batch: Batch, recipe: StudentRecipe) -> torch.Tensor:
        """Return the loss of a batch, float32: the teacher's probability, the label, and the teacher's features."""
        means = self._cells(batch["pixels"]).mean(dim=(2, 3)).float()
        margin = self.head(means)
        softened = torch.sigmoid(batch["margins"] / recipe.temperature)
        shares = recipe.teacher_share * softened + (1 - recipe.teacher_share) * batch["labels"]
        taught = (batch["features"] - self.taught_mean) / self.taught_deviation
        learned = self.projection(self.head.standardised(means))
        feature_loss = functional.smooth_l1_loss(learned, taught)
        return (
            soft_cross_entropy(margin, smoothed(shares, recipe.label_smoothing)) + recipe.feature_weight * feature_loss
        )

    def finish(self) -> None:
        """Give the network's own classifier what the head learned."""
        self.head.fold_into(self._classifier)

    def _cells(self, pixels: torch.Tensor) -> torch.Tensor:
        values = self._normalise(pixels).contiguous(memory_format=torch.channels_last)
        return self._cells_of(values)

    def _means(self, indices: Sequence[int]) -> torch.Tensor:
        means = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            for start in range(0, len(indices), 64):
                pixels = self._lessons.store.rows("pixels", indices[start : start + 64])
                means.append(self._cells(pixels).mean(dim=(2, 3)).float())
        return torch.cat(means).clone()


def batches(lessons: Lessons, recipe: StudentRecipe, start: int) -> Iterator[Batch]:
    """Give the batches of a run from a step on: drawn by weight, half of them mirrored."""
    for step in range(start, recipe.steps):
        indices = lessons.draw(recipe.batch_size, [recipe.seed, step])
        pixels = lessons.store.rows("pixels", indices)
        mirrored = torch.from_numpy(np.random.default_rng([recipe.seed, step, 1]).random(len(indices)) < 0.5)
        pixels[mirrored] = pixels[mirrored].flip(2)
        yield {
            "pixels": pixels,
            "margins": lessons.margins[indices],
            "features": lessons.features(indices),
            "labels": torch.from_numpy(lessons.targets[indices]).float(),
        }

"""Which photos a run sees, in which order, and which of them are augmented alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from aiface_evaluation.dataset import Sample

from ..recipe import AugmentedRecipe


class SampledExample(NamedTuple):
    """One example of a run.

    Attributes:
        sample: Index of the photo.
        seed: Random seed of its augmentation.
        weak: Whether the photo is augmented weakly.
    """

    sample: int
    seed: int
    weak: bool


class PairedSampler(Sampler[SampledExample]):
    """AI and real photos by turns, each source weighing the square root of its size.

    A reconstruction is followed by its original under the same augmentation, so that the decoder's trace is all that
    tells the two apart. Pairs have a weak share of their own, because in them a weak augmentation cannot let the
    resolution or the codec of a source show; it moves linearly, so that the traces are learned where they are plain and
    then followed to where they are faint.

    Args:
        samples: Photos of both labels.
        count: Examples in all, an even number.
        reconstructions: Share of the AI photos that are reconstructions, if there are any; 0 to 1.
        weak: Share of the examples that are augmented weakly; 0 to 1.
        weak_pairs: Share of the pairs that are augmented weakly at the start and at the end; 0 to 1.
        seed: Random seed of the order and of every augmentation.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        count: int,
        *,
        reconstructions: float,
        weak: float,
        weak_pairs: tuple[float, float],
        seed: int,
    ) -> None:
        self._count, self._seed = count, seed
        self._weak, self._weak_pairs = weak, weak_pairs
        self._by_original = _reconstructions_by_original(samples)
        reconstructed = [index for group in self._by_original.values() for index in group]
        indices, weights = np.arange(len(samples)), balanced_weights(samples)
        is_ai = np.array([sample.label == "ai" for sample in samples])
        is_reconstruction = np.isin(indices, reconstructed)
        self._real, self._ai = _normalised(weights * ~is_ai), _normalised(weights * (is_ai & ~is_reconstruction))
        self._originals = _normalised(weights * np.isin(indices, list(self._by_original)))
        self._share = reconstructions if reconstructed else 0.0
        if not self._ai.any():  # nothing but reconstructions
            self._share = 1.0

    @classmethod
    def from_recipe(
        cls, samples: Sequence[Sample], recipe: AugmentedRecipe, count: int, *, reconstructions: float = 0.0
    ) -> Self:
        """Make the sampler of a run of `count` examples."""
        weak, weak_pairs = recipe.augmentation.weak, recipe.augmentation.weak_pairs
        return cls(samples, count, reconstructions=reconstructions, weak=weak, weak_pairs=weak_pairs, seed=recipe.seed)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[SampledExample]:
        rng = np.random.default_rng(self._seed)
        for done in range(0, self._count, 2):
            if rng.random() < self._share:
                original = int(rng.choice(len(self._originals), p=self._originals))
                group = self._by_original[original]
                reconstruction = group[rng.integers(len(group))]
                share = np.interp(done, (0, self._count), self._weak_pairs)
                weak, seed = bool(rng.random() < share), _seed(rng)
                yield from (SampledExample(reconstruction, seed, weak), SampledExample(original, seed, weak))
            else:
                for weights in (self._ai, self._real):
                    yield SampledExample(
                        int(rng.choice(len(weights), p=weights)), _seed(rng), bool(rng.random() < self._weak)
                    )


class EpochSampler(Sampler[SampledExample]):
    """The examples of one epoch at a time, the same ones whenever the epoch is begun.

    Args:
        examples: Examples of the whole run, in order; their number is a multiple of `epochs`.
        epochs: Parts of the same size into which the run is divided.

    Attributes:
        epoch: Index of the part that is drawn next, from 0.
    """

    def __init__(self, examples: Sequence[SampledExample], epochs: int) -> None:
        self._examples, self._size = examples, len(examples) // epochs
        self.epoch = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[SampledExample]:
        return iter(self._examples[self.epoch * self._size : (self.epoch + 1) * self._size])


def _reconstructions_by_original(samples: Sequence[Sample]) -> dict[int, list[int]]:
    """Return the indices of the reconstructions of each photo that has any, by its index."""
    index_of = {sample.path: index for index, sample in enumerate(samples)}
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        if sample.original in index_of:
            groups[index_of[sample.original]].append(index)
    return dict(groups)


def balanced_weights(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Return float64 `[N]`, the sampling weight within a label: each source by the square root of its size."""
    sizes = Counter((sample.label, sample.source) for sample in samples)
    return np.array([sizes[sample.label, sample.source] ** -0.5 for sample in samples])


def _normalised(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return weights / (weights.sum() or 1.0)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**62))

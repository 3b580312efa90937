"""Types that the modules of this package share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiface_runtime.manifest import OperatingPoint

if TYPE_CHECKING:
    from .dataset import Sample

Scores: TypeAlias = NDArray[np.float64]
Progress: TypeAlias = Callable[[Iterable[Any]], Iterable[Any]]


class Scorer(Protocol):
    """A classifier to evaluate, whatever runs it."""

    @property
    def name(self) -> str:
        """Give the name of the model, for reports."""
        ...

    @property
    def operating_points(self) -> Mapping[str, OperatingPoint]:
        """Give thresholds by name, the default one among them."""
        ...

    def score(self, samples: Sequence[Sample], conditions: Sequence[str], progress: Progress) -> dict[str, Scores]:
        """Give P(AI) of every sample in every condition.

        Args:
            samples: N labelled photos.
            conditions: Names of `CONDITIONS` or `RESAVED`.
            progress: Wraps an iterable to show how far it is, as tqdm does.

        Returns:
            float64 `[N]`, 0 to 1, by condition.

        Raises:
            AifaceError: A photo or the model cannot be used.
        """
        ...

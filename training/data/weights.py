"""How much each photo and each view of it weighs in a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aiface_evaluation.dataset import Sample

from .sampling import balanced_weights
from .views import View


def sample_weights(samples: Sequence[Sample], kinds: Mapping[str, float]) -> NDArray[np.float64]:
    """Return `[N]`: each source of a label by the root of its size, kinds by theirs."""
    of_kind = np.array([kinds.get(sample.kind, 1.0) for sample in samples])
    weights: NDArray[np.float64] = balanced_weights(samples) * of_kind
    return weights


def view_weights(views: Sequence[View], weights: NDArray[np.float64], samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Return the chance of each view, `[views]`: a photo's weight shared by its views, both labels alike."""
    counts = Counter(view.sample for view in views)
    chances = np.array([weights[view.sample] / counts[view.sample] for view in views])
    is_ai = np.array([samples[view.sample].label == "ai" for view in views])
    for label in (is_ai, ~is_ai):
        chances[label] /= 2 * chances[label].sum()
    return chances

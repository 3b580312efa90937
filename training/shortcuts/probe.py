"""The leak test: can the label be told from facts of the file, before and after the random chain?

A gradient-boosted classifier is given nothing but facts. Of the raw files they give the label away, because every
source has its own size and codec. Of what a network is fed they should not; but what is left may be the depicted scene
(a plain backdrop takes few bytes) as well as the file. So the same is asked with planted labels: for each photo a coin
decides how it is encoded or how large it is, whatever it shows. What a planted label scores is the file's alone.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from torch.utils.data import DataLoader, Dataset

from aiface_evaluation.dataset import Sample
from aiface_runtime.images import load_rgb

from ..data.augmentation import Augmentation
from ..data.sampling import PairedSampler, SampledExample
from ..recipe import Recipe
from .file_features import (
    Features,
    content_features,
    encoded,
    encoded_features,
    file_features,
    grid_traces,
    spectrum_traces,
)

LABEL, CODEC, SIZE = "label", "planted codec", "planted size"
RAW, CONTENT = "raw files: facts of the file", "raw files: bytes at 48 px"
FED, GRID, SPECTRUM = "fed: size and bytes", "fed: traces of a codec's grid", "fed: spectrum"
_SHRUNK = 2 / 3


def probe_shortcuts(
    samples: Sequence[Sample], recipe: Recipe, progress: Callable[[Iterable[Any]], Iterable[Any]], *, count: int
) -> dict[str, Any]:
    """How well facts tell labels apart, by draws as a run makes them.

    Args:
        samples: The train split.
        recipe: Whose chain and seed are used; twins are not drawn.
        progress: Wraps an iterable to show how far it is.
        count: Draws, an even number.

    Returns:
        `samples`, and in `auc` for each of `label`, `planted codec` and `planted size` and for each kind of facts a
        list of the AUC and of its 95 % interval's ends; 0.5 is chance.
    """
    augmentation = recipe.augmentation
    draws = list(
        PairedSampler(
            samples,
            count,
            reconstructions=0.0,
            weak=augmentation.weak,
            weak_pairs=augmentation.weak_pairs,
            seed=recipe.seed,
        )
    )
    drawn = _Drawn(samples, augmentation)
    loader = DataLoader(drawn, batch_size=None, sampler=draws, num_workers=os.cpu_count() or 1, collate_fn=_as_is)
    rows: list[dict[str, dict[str, Features]]] = list(progress(loader))
    photos = np.array([draw.sample for draw in draws])
    found = {}
    for case in drawn.cases:
        target = np.array([_target(samples[draw.sample], case) for draw in draws])
        found[case] = {
            name: _auc(np.stack([row[case][name] for row in rows]), target, photos, recipe.seed)
            for name in (RAW, CONTENT, FED, GRID, SPECTRUM)
        }
    return {"samples": count, "auc": found}


class _Drawn(Dataset[dict[str, dict[str, Features]]]):
    """Facts of photos, raw and fed, as they are and as planted."""

    def __init__(self, samples: Sequence[Sample], augmentation: Augmentation) -> None:
        self._samples, self._chain = samples, augmentation
        self.cases: dict[str, Callable[[Path, bool], bytes]] = {LABEL: _as_it_is, CODEC: _by_codec, SIZE: _by_size}

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, draw: SampledExample) -> dict[str, dict[str, Features]]:
        sample = self._samples[draw.sample]
        return {case: self._facts(file(sample.path, _target(sample, case)), draw) for case, file in self.cases.items()}

    def _facts(self, data: bytes, draw: SampledExample) -> dict[str, Features]:
        photo = Image.fromarray(load_rgb(data))
        fed = self._chain(photo, np.random.default_rng(draw.seed), weak=draw.weak)
        return {
            RAW: file_features(data),
            CONTENT: content_features(photo),
            FED: encoded_features(fed),
            GRID: grid_traces(fed),
            SPECTRUM: spectrum_traces(fed),
        }


def _as_is(row: Any) -> Any:
    return row


def _target(sample: Sample, case: str) -> bool:
    """The label, or a coin that falls the same way for every draw of a photo."""
    return bool(sample.target) if case == LABEL else bool(zlib.crc32(f"{case}/{sample.path.name}".encode()) & 1)


def _as_it_is(path: Path, _: bool) -> bytes:
    return path.read_bytes()


def _by_codec(path: Path, poorly: bool) -> bytes:
    return encoded(Image.fromarray(load_rgb(path)), *((60, 2) if poorly else (95, 0)))


def _by_size(path: Path, shrunk: bool) -> bytes:
    photo = Image.fromarray(load_rgb(path))
    if shrunk:
        photo = photo.resize((round(_SHRUNK * photo.width), round(_SHRUNK * photo.height)), Image.Resampling.LANCZOS)
    return encoded(photo, 85, 2)


def _auc(features: Features, target: NDArray[np.bool_], photos: NDArray[np.int_], seed: int) -> list[float]:
    """Cross-validated, with all draws of a photo in one fold, lest the photo itself be recognised."""
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    classifier = HistGradientBoostingClassifier(max_iter=100, learning_rate=0.05, random_state=seed)
    scores = cross_val_predict(classifier, features, target, groups=photos, cv=folds, method="predict_proba")[:, 1]
    return [float(roc_auc_score(target, scores)), *_interval(target, scores, photos, seed)]


def _interval(
    target: NDArray[np.bool_], scores: Features, photos: NDArray[np.int_], seed: int, times: int = 200
) -> tuple[float, float]:
    """95 % of bootstrap resamples of photos, not of draws, which are not independent."""
    rng = np.random.default_rng(seed)
    _, group = np.unique(photos, return_inverse=True)
    many = int(group.max()) + 1
    weights = (rng.multinomial(many, np.full(many, 1 / many))[group] for _ in range(times))
    low, high = np.quantile([roc_auc_score(target, scores, sample_weight=weight) for weight in weights], [0.025, 0.975])
    return float(low), float(high)


def as_text(report: dict[str, Any]) -> str:
    """The report as an aligned table of AUCs."""
    auc = report["auc"]
    lines = [f"{'AUC (95 %)':32}" + "".join(f"{case:>21}" for case in auc)]
    for name in auc[LABEL]:
        cells = (f"{value:.3f} ({low:.2f}-{high:.2f})" for value, low, high in (auc[case][name] for case in auc))
        lines.append(f"{name:32}" + "".join(f"{cell:>21}" for cell in cells))
    return "\n".join(lines)

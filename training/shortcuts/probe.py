"""The shortcut test: can the label be told from features of the file, before and after the augmentation?

A gradient-boosted classifier is given nothing but such features. Of the raw files they give the label away, because
every source has its own size and codec. Of what a network is fed they should not; but what is left may be the depicted
scene (a plain backdrop takes few bytes) as well as the file. So the same is asked with planted labels, assigned by a
hash of the file name: each photo is encoded or shrunk in one of two ways, whatever it shows. What a planted label
scores is the file's alone.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from torch.utils.data import DataLoader, Dataset

from aiface_evaluation.dataset import Sample
from aiface_evaluation.types import Progress
from aiface_runtime.images import load_rgb

from ..data.augmentation import Augmentation
from ..data.sampling import PairedSampler, SampledExample
from ..recipe import AugmentedRecipe
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
RAW, CONTENT = "raw files: file features", "raw files: bytes at 48 px"
FED, GRID, SPECTRUM = "fed: size and bytes", "fed: traces of a codec's grid", "fed: spectrum"
_KINDS = (RAW, CONTENT, FED, GRID, SPECTRUM)
_SHRUNK = 2 / 3
_FOLDS, _LEARNING_RATE = 5, 0.05
_RESAMPLES, _ENDS = 200, (0.025, 0.975)

Rows: TypeAlias = dict[str, dict[str, Features]]


@dataclass(frozen=True)
class Auc:
    """How well one kind of features tells one label.

    Attributes:
        auc: Area under the ROC curve, cross-validated; 0.5 is chance.
        low: Lower end of its 95 % bootstrap interval.
        high: Upper end of it.
    """

    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class ShortcutReport:
    """What the shortcut test measured.

    Attributes:
        samples: Examples that were sampled.
        photos: Different photos among them.
        auc: AUCs by label (`label`, `planted codec`, `planted size`), then by kind of features.
    """

    samples: int
    photos: int
    auc: Mapping[str, Mapping[str, Auc]]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON takes it, each AUC as `[auc, low, high]`."""
        auc = {
            case: {name: [value.auc, value.low, value.high] for name, value in row.items()}
            for case, row in self.auc.items()
        }
        return {"samples": self.samples, "photos": self.photos, "auc": auc}


def probe_shortcuts(
    samples: Sequence[Sample], recipe: AugmentedRecipe, progress: Progress, *, count: int, iterations: int = 100
) -> ShortcutReport:
    """Measure how well features of the file tell labels apart, on examples as a run samples them.

    Args:
        samples: The train split.
        recipe: Gives the augmentation and the seed; reconstructions are not sampled.
        progress: Wraps an iterable to show how far it is.
        count: Examples, an even number.
        iterations: Trees of each gradient-boosted classifier.
    """
    examples = list(PairedSampler.from_recipe(samples, recipe, count))
    features = _ExampleFeatures(samples, recipe.augmentation)
    loader = DataLoader(features, batch_size=None, sampler=examples, num_workers=os.cpu_count() or 1, collate_fn=_as_is)
    rows: list[Rows] = list(progress(loader))
    photos = np.array([example.sample for example in examples])
    auc: dict[str, dict[str, Auc]] = {}
    for case in _FILES:
        target = np.array([_target(samples[index], case) for index in photos])
        auc[case] = {
            kind: _auc(np.stack([row[case][kind] for row in rows]), target, photos, recipe.seed, iterations)
            for kind in _KINDS
        }
    return ShortcutReport(count, len(set(photos.tolist())), auc)


class _ExampleFeatures(Dataset[Rows]):
    """Features of examples, raw and as fed, of the files as they are and as planted."""

    def __init__(self, samples: Sequence[Sample], augmentation: Augmentation) -> None:
        self._samples, self._augmentation = samples, augmentation

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, example: SampledExample) -> Rows:
        sample = self._samples[example.sample]
        return {
            case: self._features(file(sample.path, _target(sample, case)), example) for case, file in _FILES.items()
        }

    def _features(self, data: bytes, example: SampledExample) -> dict[str, Features]:
        photo = Image.fromarray(load_rgb(data))
        fed = self._augmentation(photo, np.random.default_rng(example.seed), weak=example.weak)
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
    """Return the label, or a planted one: a hash of the file's name, the same for every example of a photo."""
    return bool(sample.target) if case == LABEL else bool(zlib.crc32(f"{case}/{sample.path.name}".encode()) & 1)


def _unchanged(path: Path, _: bool) -> bytes:
    return path.read_bytes()


def _by_codec(path: Path, coarse: bool) -> bytes:
    return encoded(Image.fromarray(load_rgb(path)), *((60, 2) if coarse else (95, 0)))


def _by_size(path: Path, shrunk: bool) -> bytes:
    photo = Image.fromarray(load_rgb(path))
    if shrunk:
        photo = photo.resize((round(_SHRUNK * photo.width), round(_SHRUNK * photo.height)), Image.Resampling.LANCZOS)
    return encoded(photo, 85, 2)


_FILES: dict[str, Callable[[Path, bool], bytes]] = {LABEL: _unchanged, CODEC: _by_codec, SIZE: _by_size}


def _auc(features: Features, target: NDArray[np.bool_], photos: NDArray[np.int_], seed: int, iterations: int) -> Auc:
    """Cross-validate with all examples of a photo in one fold, lest the photo itself be recognised."""
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    classifier = HistGradientBoostingClassifier(max_iter=iterations, learning_rate=_LEARNING_RATE, random_state=seed)
    scores = cross_val_predict(classifier, features, target, groups=photos, cv=folds, method="predict_proba")[:, 1]
    return Auc(float(roc_auc_score(target, scores)), *_interval(target, scores, photos, seed))


def _interval(target: NDArray[np.bool_], scores: Features, photos: NDArray[np.int_], seed: int) -> tuple[float, float]:
    """Return the 95 % bootstrap interval over photos, not over examples, which are not independent."""
    rng = np.random.default_rng(seed)
    _, group = np.unique(photos, return_inverse=True)
    total = int(group.max()) + 1
    weights = (rng.multinomial(total, np.full(total, 1 / total))[group] for _ in range(_RESAMPLES))
    low, high = np.quantile([roc_auc_score(target, scores, sample_weight=weight) for weight in weights], _ENDS)
    return float(low), float(high)


def as_text(report: ShortcutReport) -> str:
    """Return the report as an aligned table of AUCs."""
    lines = [f"{'AUC (95 %)':32}" + "".join(f"{case:>21}" for case in report.auc)]
    for kind in _KINDS:
        values = [row[kind] for row in report.auc.values()]
        cells = (f"{value.auc:.3f} ({value.low:.2f}-{value.high:.2f})" for value in values)
        lines.append(f"{kind:32}" + "".join(f"{cell:>21}" for cell in cells))
    return "\n".join(lines)

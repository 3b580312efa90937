"""Evaluation of a model by split, condition, source and generator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiface_runtime import Classifier
from aiface_runtime.errors import InputError
from aiface_runtime.manifest import OperatingPoint

from .condition_metrics import condition_result
from .conditions import CONDITIONS, RESAVED, views
from .dataset import Sample
from .decodable import DecodablePhotos, decodable
from .errors import DataError
from .image_stats import IMAGE_STATS
from .metrics import by_quartile
from .names import ALL, DEFAULT, LABELS, SPLITS
from .parallel import ahead
from .records.json_record import JsonRecord
from .records.results import Evaluation, Movement, Resaved, SplitResult, Thresholds
from .types import Progress, Scorer, Scores

_MAX_RESAVED = 300  # photos of a split, evenly over it, are saved again: each is scored once more for every format
_MOVED = 0.1  # of P(AI), by which saving a photo again should not move it
_DECIMALS, _PHOTO_DECIMALS = 4, 6


class ModelScorer:
    """A model file, run by the runtime.

    Args:
        model: An `.onnx` file or a bundled name.

    Raises:
        AifaceError: The model cannot be used.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        with Classifier(model) as classifier:
            self.manifest = classifier.manifest
        self.name: str = self.manifest.id
        self.operating_points: Mapping[str, OperatingPoint] = dict(self.manifest.operating_points)

    def score(self, samples: Sequence[Sample], conditions: Sequence[str], progress: Progress) -> dict[str, Scores]:
        """Give P(AI) of every sample in every condition, as `Scorer` says."""
        ai = [self.manifest.labels.index(label) for label in self.manifest.ai_labels]
        probabilities = self.probabilities(samples, conditions, progress)
        return {name: np.minimum(rows[:, ai].sum(axis=1), 1.0) for name, rows in probabilities.items()}

    def probabilities(
        self, samples: Sequence[Sample], conditions: Sequence[str], progress: Progress
    ) -> dict[str, Scores]:
        """Give the probabilities of all labels, float64 `[N, C]`, by condition; else as `score`."""
        photos = chain.from_iterable(ahead(partial(views, names=tuple(conditions)), progress(samples)))
        with Classifier(self._model) as classifier:
            answers = classifier.predict_many(photos, on_error="raise")
            rows = np.array([list(answer.scores.values()) for answer in answers], dtype=np.float64)
        grouped = rows.reshape(len(samples), len(conditions), len(self.manifest.labels))
        return {name: grouped[:, index] for index, name in enumerate(conditions)}


def assess(
    scorer: Scorer,
    samples: Sequence[Sample],
    progress: Progress,
    *,
    seen: Collection[str] = (),
    command: str = "",
    on_undecodable: Callable[[InputError], None] | None = None,
) -> Evaluation:
    """Measure everything that is to be known of a model.

    Args:
        scorer: The model.
        samples: Labelled photos; one without a split counts as `all`.
        progress: Wraps an iterable to show how far it is, as tqdm does.
        seen: Sources that have photos in the train split too.
        command: Command line that the user typed, for the record.
        on_undecodable: Called for each photo that cannot be decoded, which is then left out; None to raise its error.

    Returns:
        The results, rounded to 4 decimals, P(AI) of the photos to 6. Image statistics are measured in the clean
        condition at the default operating point.

    Raises:
        DataError: A split lacks one of the labels.
        AifaceError: A photo or the model cannot be used.
    """
    check_labels(samples)
    photos = decodable(samples, progress, on_undecodable)
    check_labels(photos.samples)
    scores = scorer.score(photos.samples, tuple(CONDITIONS), progress)
    points = scorer.operating_points
    splits, recorded = {}, {}
    for split, inside in splits_of(photos.samples):
        chosen = np.flatnonzero(inside)
        splits[split] = rounded(_split_result(scorer, photos, chosen, scores, seen=seen, progress=progress))
        recorded[split] = {
            photos.hashes[index]: round(float(scores["clean"][index]), _PHOTO_DECIMALS) for index in chosen
        }
    return Evaluation(
        model=scorer.name,
        command=command,
        conditions=tuple((name, condition.description) for name, condition in CONDITIONS.items()),
        image_statistics=IMAGE_STATS,
        operating_points={
            name: Thresholds(real_below=point.real_below, ai_from=point.ai_from) for name, point in points.items()
        },
        splits=splits,
        photos=recorded,
        left_out=len(samples) - len(photos.samples),
    )


def _split_result(
    scorer: Scorer,
    photos: DecodablePhotos,
    chosen: NDArray[np.intp],
    scores: Mapping[str, Scores],
    *,
    seen: Collection[str],
    progress: Progress,
) -> SplitResult:
    samples, points = [photos.samples[index] for index in chosen], scorer.operating_points
    target, clean = np.array([sample.target for sample in samples]), scores["clean"][chosen]
    resaved_indices = np.unique(np.linspace(0, len(chosen) - 1, _MAX_RESAVED).astype(int))
    return SplitResult(
        conditions={
            condition: condition_result(samples, p_ai[chosen], points, seen) for condition, p_ai in scores.items()
        },
        image_statistics={
            name: by_quartile(values[chosen], target, clean, points[DEFAULT])
            for name, values in zip(IMAGE_STATS, photos.image_stats.T, strict=True)
        },
        resaved=_resaved(scorer, [samples[index] for index in resaved_indices], clean[resaved_indices], progress),
    )


def check_labels(samples: Sequence[Sample]) -> None:
    """Refuse photos of which a split lacks a label.

    Raises:
        DataError: A split lacks one of the labels, or there are no photos.
    """
    if not samples:
        raise DataError("there are no photos to evaluate")
    for split, inside in splits_of(samples):
        if len({sample.label for sample, belongs in zip(samples, inside, strict=True) if belongs}) < len(LABELS):
            raise DataError(f"the {split} split needs photos of both labels to be evaluated")


def splits_of(samples: Sequence[Sample]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each split and which of the N samples are in it, bool `[N]`; one without a split is in `all`."""
    names = np.array([sample.split or ALL for sample in samples])
    for split in sorted(set(names.tolist()), key=(*SPLITS, ALL).index):
        yield split, names == split


def _resaved(scorer: Scorer, samples: Sequence[Sample], p_ai: Scores, progress: Progress) -> Resaved:
    moves = {name: np.abs(resaved - p_ai) for name, resaved in scorer.score(samples, tuple(RESAVED), progress).items()}
    return Resaved(
        n=len(samples),
        formats={
            name: Movement(within=float((move <= _MOVED).mean()), p95=float(np.quantile(move, 0.95)))
            for name, move in moves.items()
        },
    )


def rounded(value: Any) -> Any:
    """Round every float inside records, mappings and tuples to 4 decimals."""
    if isinstance(value, JsonRecord):
        parts = {item.name: rounded(getattr(value, item.name)) for item in fields(value)}  # type: ignore[arg-type]
        return replace(value, **parts)  # type: ignore[type-var]
    if isinstance(value, Mapping):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(rounded(part) for part in value)
    return round(value, _DECIMALS) if isinstance(value, float) else value

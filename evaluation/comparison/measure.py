"""Models side by side on the same photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiface_runtime.catalog import resolve
from aiface_runtime.errors import InputError, UsageError
from aiface_runtime.files import sha256_of

from ..condition_metrics import condition_result
from ..conditions import CONDITIONS
from ..dataset import Sample
from ..decodable import decodable
from ..evaluate import ModelScorer, check_labels, rounded, splits_of
from ..names import DEFAULT
from ..records.comparison import ComparedModel, Comparison, ModelPair
from ..records.headline import Headline, headline
from ..types import Progress, Scores
from .disagreement import disagreements
from .latency import PHOTO, latencies

Answers: TypeAlias = Mapping[str, Scores]  # P(AI) of all photos, by condition


def compare(
    models: Sequence[str],
    samples: Sequence[Sample],
    progress: Progress,
    *,
    rounds: int,
    command: str = "",
    on_undecodable: Callable[[InputError], None] | None = None,
) -> Comparison:
    """Measure models on the same photos.

    Args:
        models: Two `.onnx` files or bundled names, or more.
        samples: Labelled photos; one without a split counts as `all`.
        progress: Wraps an iterable to show how far it is.
        rounds: Number of measurements of latency; 0 to measure none.
        command: Command line that the user typed, for the record.
        on_undecodable: Called for each photo that cannot be decoded, which is then left out; None to raise its error.

    Returns:
        The results, rounded to 4 decimals.

    Raises:
        UsageError: Two of the models are one file.
        DataError: A split lacks one of the labels.
        AifaceError: A photo or a model cannot be used.
    """
    check_labels(samples)
    files = _named(models)
    timings = latencies(files, rounds) if rounds else {}
    photos = decodable(samples, progress, on_undecodable).samples
    check_labels(photos)
    scorers = {name: ModelScorer(model) for name, model in zip(files, models, strict=True)}
    scores = {name: scorer.score(photos, tuple(CONDITIONS), progress) for name, scorer in scorers.items()}
    compared = tuple(
        ComparedModel(
            name=name,
            sha256=sha256_of([file]),
            size=file.stat().st_size,
            splits=_headlines(scorers[name], photos, scores[name]),
            latency=timings.get(name),
        )
        for name, file in files.items()
    )
    result: Comparison = rounded(
        Comparison(
            command=command,
            conditions=tuple((name, condition.description) for name, condition in CONDITIONS.items()),
            models=compared,
            pairs=tuple(_pair(names, scorers, photos, scores) for names in combinations(files, 2)),
            photo=PHOTO if timings else "",
            left_out=len(samples) - len(photos),
        )
    )
    return result


def _named(models: Sequence[str]) -> dict[str, Path]:
    """Name the models' files; those whose manifests give one name are told apart by their file names."""
    files = [resolve(model) for model in models]
    names = [ModelScorer(model).name for model in models]
    told = [
        name if names.count(name) == 1 else f"{name} ({file.name})" for name, file in zip(names, files, strict=True)
    ]
    if again := [name for name in told if told.count(name) > 1]:
        raise UsageError(f"{again[0]}: two of the models have this name; give files of different names")
    return dict(zip(told, files, strict=True))


def _headlines(scorer: ModelScorer, photos: Sequence[Sample], scores: Answers) -> dict[str, dict[str, Headline]]:
    return {
        split: {
            condition: headline(condition_result(part, p_ai[chosen], scorer.operating_points))
            for condition, p_ai in scores.items()
        }
        for split, chosen, part in _parts(photos)
    }


def _pair(
    names: tuple[str, str],
    scorers: Mapping[str, ModelScorer],
    photos: Sequence[Sample],
    scores: Mapping[str, Answers],
) -> ModelPair:
    first, second = names
    points = (scorers[first].operating_points[DEFAULT], scorers[second].operating_points[DEFAULT])
    splits = {
        split: {
            condition: disagreements(part, (p_ai[chosen], scores[second][condition][chosen]), points)
            for condition, p_ai in scores[first].items()
        }
        for split, chosen, part in _parts(photos)
    }
    return ModelPair(first=first, second=second, splits=splits)


def _parts(photos: Sequence[Sample]) -> Iterator[tuple[str, NDArray[np.intp], list[Sample]]]:
    for split, inside in splits_of(photos):
        chosen = np.flatnonzero(inside)
        yield split, chosen, [photos[index] for index in chosen.tolist()]

"""How good a model is, per split, condition, source and generator."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiface_runtime import Classifier
from aiface_runtime.manifest import OperatingPoint

from .calibration import expected_calibration_error, reliability
from .conditions import CONDITIONS, RESAVED, views
from .dataset import Sample
from .errors import DataError
from .image_stats import IMAGE_STATS, measure
from .metrics import at_points, breakdown, calls, figures, intervals, roc, share_interval
from .operating_points import DEFAULT
from .parallel import ahead
from .types import Progress, Scorer, Scores

_SPLITS = ("train", "val", "test", "all")
_RESAVED = 300  # photos of a split, evenly over it, are saved again: each is scored once more for every format
_MOVED = 0.1  # of P(AI), by which saving a photo again should not move it


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
            self.name: str = classifier.manifest.id
            self.operating_points: Mapping[str, OperatingPoint] = dict(classifier.manifest.operating_points)

    def score(self, samples: Sequence[Sample], conditions: Sequence[str], progress: Progress) -> dict[str, Scores]:
        """Give P(AI) of every sample in every condition, as `Scorer` says."""
        photos = chain.from_iterable(ahead(partial(views, names=tuple(conditions)), progress(samples)))
        with Classifier(self._model) as classifier:
            answers = classifier.predict_many(photos, on_error="raise")
            p_ai = np.array([answer.p_ai for answer in answers], dtype=np.float64)
        return dict(zip(conditions, p_ai.reshape(len(samples), len(conditions)).T, strict=True))


def assess(
    scorer: Scorer,
    samples: Sequence[Sample],
    progress: Progress,
    *,
    seen: Collection[str] = (),
    command: str = "",
) -> dict[str, Any]:
    """Everything that is to be known of a model.

    Args:
        scorer: The model.
        samples: Labelled photos.
        progress: Wraps an iterable to show how far it is, as tqdm does.
        seen: As of `evaluate`.
        command: What the user typed, for the record.

    Returns:
        What `evaluate` does, and with each split `image_statistics` (figures by quartile of what `IMAGE_STATS` measure,
        in the clean condition at the default operating point) and `resaved` (how far P(AI) moves when a photo is saved
        again); beside them the `model`, the `command`, the `conditions` and what they do, and the `operating_points`.
        Floats are rounded to 4 decimals.

    Raises:
        DataError: A split lacks one of the labels.
        AifaceError: A photo or the model cannot be used.
    """
    points = scorer.operating_points
    _check(samples)
    scores = scorer.score(samples, tuple(CONDITIONS), progress)
    image_stats = np.array(list(ahead(measure, progress(samples))))
    splits = evaluate(samples, scores, points, seen)
    for split, inside in _splits(samples):
        chosen = np.flatnonzero(inside)
        target = np.array([sample.target for sample in samples])[chosen]
        splits[split]["image_statistics"] = {
            trait: breakdown(values[chosen], target, scores["clean"][chosen], points[DEFAULT])
            for trait, values in zip(IMAGE_STATS, image_stats.T, strict=True)
        }
        few = chosen[np.unique(np.linspace(0, len(chosen) - 1, _RESAVED).astype(int))]
        splits[split]["resaved"] = _resaved(scorer, [samples[int(n)] for n in few], scores["clean"][few], progress)
    return {
        "model": scorer.name,
        "command": command,
        "conditions": [[name, condition.what] for name, condition in CONDITIONS.items()],
        "image_statistics": IMAGE_STATS,
        "operating_points": {
            name: {"real_below": point.real_below, "ai_from": point.ai_from} for name, point in points.items()
        },
        "splits": _rounded(splits),
    }


def evaluate(
    samples: Sequence[Sample],
    scores: Mapping[str, Scores],
    points: Mapping[str, OperatingPoint],
    seen: Collection[str] = (),
) -> dict[str, Any]:
    """Figures for every split and condition, and in it for every source and generator.

    Args:
        samples: N labelled photos; a sample without a split counts as `all`.
        scores: By condition, float64 `[N]` P(AI).
        points: The model's operating points by name, `balanced` among them.
        seen: Sources that have photos in the train split too.

    Returns:
        `{split: {"conditions": {condition: {"overall", "seen", "unseen", "sources", "generators", "ece", "reliability",
        "roc"}}}}`. `overall` has what `figures` and `at_points` say, 95 % `intervals`, and `generators_tpr_at_1_fpr`,
        the mean over generators by which models are chosen. `seen` and `unseen` are the photos of those sources
        and of the others; None where these are not of both labels. A source or generator has one label only: its
        `calls` are shares of its own photos, as is its `accuracy`; its other figures are against all photos of the
        other label. `reliability` has mean P(AI), share of AI and photos of each of 15 bins, `roc` false and true
        positive rates.

    Raises:
        DataError: A split lacks one of the labels.
    """
    _check(samples)
    report: dict[str, Any] = {}
    for split, inside in _splits(samples):
        chosen = [sample for sample, wanted in zip(samples, inside, strict=True) if wanted]
        report[split] = {
            "conditions": {
                condition: _condition_result(chosen, p_ai[inside], points, seen) for condition, p_ai in scores.items()
            }
        }
    return report


def _check(samples: Sequence[Sample]) -> None:
    for split, inside in _splits(samples):
        if len({sample.label for sample, wanted in zip(samples, inside, strict=True) if wanted}) < 2:
            raise DataError(f"the {split} split needs photos of both labels to be evaluated")


def _splits(samples: Sequence[Sample]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    names = np.array([sample.split or "all" for sample in samples])
    for split in sorted(set(names.tolist()), key=_SPLITS.index):
        yield split, names == split


def _condition_result(
    samples: Sequence[Sample], p_ai: Scores, points: Mapping[str, OperatingPoint], seen: Collection[str]
) -> dict[str, Any]:
    known = np.array([sample.source in seen for sample in samples])
    target = np.array([sample.target for sample in samples])
    real, ai = p_ai[target == 0], p_ai[target == 1]
    names = [sample.generator if sample.label == "ai" else "" for sample in samples]
    generators = _groups(names, target, p_ai, points)
    overall = figures(target, p_ai)
    by_generator = [group["tpr_at_1_fpr"] for group in generators.values()] or [overall["tpr_at_1_fpr"]]
    return {
        "overall": overall
        | {
            "generators_tpr_at_1_fpr": float(np.mean(by_generator)),
            "intervals": intervals(real, ai),
            "points": at_points(target, p_ai, points),
        },
        "seen": _part(known, target, p_ai),
        "unseen": _part(~known, target, p_ai),
        "sources": _groups(_source_names(samples), target, p_ai, points),
        "generators": generators,
        "ece": expected_calibration_error(p_ai, target),
        "reliability": [[mean, share, int(photos)] for mean, share, photos in reliability(p_ai, target).tolist()],
        "roc": roc(real, ai),
    }


def _part(inside: NDArray[np.bool_], target: NDArray[np.int_], p_ai: Scores) -> dict[str, float] | None:
    return figures(target[inside], p_ai[inside]) if len(set(target[inside])) == 2 else None


def _source_names(samples: Sequence[Sample]) -> list[str]:
    """Sources, those that have photos of both labels as two."""
    labels: dict[str, set[str]] = {}
    for sample in samples:
        labels.setdefault(sample.source, set()).add(sample.label)
    return [
        sample.source if len(labels[sample.source]) == 1 else f"{sample.source} ({sample.label})" for sample in samples
    ]


def _groups(
    names: Sequence[str], target: NDArray[np.int_], p_ai: Scores, points: Mapping[str, OperatingPoint]
) -> dict[str, Any]:
    found = np.array(names)
    groups: dict[str, Any] = {}
    for name in sorted(set(names) - {""}):
        group = found == name
        label = target[group][0]
        against = group | (target != label)
        called_ai = int((p_ai[group] >= points[DEFAULT].ai_from).sum())
        groups[name] = {
            "label": "ai" if label else "real",
            "n": int(group.sum()),
            **_rates(figures(target[against], p_ai[against])),
            "accuracy": float(((p_ai[group] >= 0.5) == label).mean()),
            "calls": calls(p_ai[group], points),
            "called_ai_interval": share_interval(called_ai, int(group.sum())),
        }
    return groups


def _rates(found: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if name not in ("n_real", "n_ai")}


def _resaved(scorer: Scorer, samples: Sequence[Sample], p_ai: Scores, progress: Progress) -> dict[str, Any]:
    moved = {name: np.abs(again - p_ai) for name, again in scorer.score(samples, tuple(RESAVED), progress).items()}
    return {
        "n": len(samples),
        "formats": {
            name: {"within_0.1": float((by <= _MOVED).mean()), "p95": float(np.quantile(by, 0.95))}
            for name, by in moved.items()
        },
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value

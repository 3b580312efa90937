"""How good a model is, per split, tier, source and generator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from aiface_export.calibration import Scores, expected_calibration_error, reliability
from aiface_export.errors import DataError
from aiface_export.operating_points import DEFAULT
from aiface_export.samples import Sample
from numpy.typing import NDArray

from aiface_runtime import Classifier
from aiface_runtime.manifest import OperatingPoint

from .data import read_record
from .figures import at_points, breakdown, calls, figures, intervals, roc, share_interval
from .parallel import ahead
from .tiers import RESAVED, TIERS, views
from .traits import TRAITS, measure

Progress: TypeAlias = Callable[[Iterable[Any]], Iterable[Any]]

_SPLITS = ("train", "val", "test", "all")
_PLAIN = {DEFAULT: OperatingPoint(0.5, 0.5)}  # of a checkpoint that nobody calibrated
_RESAVED = 300  # photos of a split, evenly over it, are saved again: each is scored once more for every format
_MOVED = 0.1  # of P(AI), by which saving a photo again should not move it


def score(
    model: str, samples: Sequence[Sample], progress: Progress, tiers: Sequence[str] = ("clean",)
) -> dict[str, Scores]:
    """P(AI) of every sample in every tier.

    Args:
        model: An `.onnx` file or a bundled name, run by the runtime; a checkpoint folder, run by transformers.
        samples: Labelled photos.
        progress: Wraps an iterable to show how far it is, as tqdm does.
        tiers: Names of `TIERS` or `RESAVED`.

    Returns:
        By tier, float64 `[N]`, 0 to 1.

    Raises:
        AifaceError: A photo or the model cannot be used.
        ExportError: The checkpoint cannot be used.
    """
    names = tuple(tiers)
    if Path(model).is_dir():
        p_ai = _by_source(model, samples, progress, names)
    else:
        photos = chain.from_iterable(ahead(partial(views, names=names), progress(samples)))
        with Classifier(model) as classifier:
            answers = classifier.predict_many(photos, on_error="raise")
            p_ai = np.array([answer.p_ai for answer in answers], dtype=np.float64)
    return dict(zip(tiers, p_ai.reshape(len(samples), len(tiers)).T, strict=True))


def _by_source(model: str, samples: Sequence[Sample], progress: Progress, names: tuple[str, ...]) -> Scores:
    """By the checkpoint's own framework, a photo a thread; with one core each, PyTorch wastes none on waiting."""
    from aiface_export.sources import open_source

    source, threads = open_source(model), torch.get_num_threads()

    def answers(sample: Sample) -> Scores:
        of_ai: Scores = source.probabilities(views(sample, names))[:, source.ai_columns].sum(axis=1, dtype=np.float64)
        return of_ai

    torch.set_num_threads(1)
    try:
        return np.concatenate(list(ahead(answers, progress(samples))))
    finally:
        torch.set_num_threads(threads)


def describe(model: str) -> tuple[str, dict[str, OperatingPoint]]:
    """A model's name and operating points: from a file's manifest, or from the record in a checkpoint folder.

    Raises:
        AifaceError: The model cannot be used.
    """
    if not Path(model).is_dir():
        with Classifier(model) as classifier:
            return classifier.manifest.id, dict(classifier.manifest.operating_points)
    found = read_record(Path(model)).get("operating_points", {})
    points = {name: OperatingPoint(point["real_below"], point["ai_from"]) for name, point in found.items()}
    return Path(model).resolve().name, points or _PLAIN


def assess(
    model: str,
    samples: Sequence[Sample],
    progress: Progress,
    *,
    familiar: Collection[str] = (),
    command: str = "",
) -> dict[str, Any]:
    """Everything that is to be known of a model.

    Args:
        model: As of `score`.
        samples: Labelled photos.
        progress: As of `score`.
        familiar: As of `evaluate`.
        command: What the user typed, for the record.

    Returns:
        What `evaluate` does, and with each split `traits` (figures by quartile of what `TRAITS` measure, in the clean
        tier at the default operating point) and `resaved` (how far P(AI) moves when a photo is saved again); beside
        them the `model`, the `command`, the `tiers` and what they do, and the `operating_points`. Floats are rounded
        to 4 decimals.

    Raises:
        DataError: A split lacks one of the labels.
        AifaceError: A photo or the model cannot be used.
        ExportError: The checkpoint cannot be used.
    """
    name, points = describe(model)
    _check(samples)
    scores = score(model, samples, progress, tuple(TIERS))
    traits = np.array(list(ahead(measure, progress(samples))))
    splits = evaluate(samples, scores, points, familiar)
    for split, inside in _splits(samples):
        chosen = np.flatnonzero(inside)
        target = np.array([sample.target for sample in samples])[chosen]
        splits[split]["traits"] = {
            trait: breakdown(values[chosen], target, scores["clean"][chosen], points[DEFAULT])
            for trait, values in zip(TRAITS, traits.T, strict=True)
        }
        few = chosen[np.unique(np.linspace(0, len(chosen) - 1, _RESAVED).astype(int))]
        splits[split]["resaved"] = _resaved(model, [samples[int(n)] for n in few], scores["clean"][few], progress)
    return {
        "model": name,
        "command": command,
        "tiers": [[name, tier.what] for name, tier in TIERS.items()],
        "traits": TRAITS,
        "operating_points": {
            name: {"real_below": point.real_below, "ai_from": point.ai_from} for name, point in points.items()
        },
        "splits": _rounded(splits),
    }


def evaluate(
    samples: Sequence[Sample],
    scores: Mapping[str, Scores],
    points: Mapping[str, OperatingPoint],
    familiar: Collection[str] = (),
) -> dict[str, Any]:
    """Figures for every split and tier, and in it for every source and generator.

    Args:
        samples: N labelled photos; a sample without a split counts as `all`.
        scores: By tier, float64 `[N]` P(AI).
        points: The model's operating points by name, `balanced` among them.
        familiar: Sources that have photos in the train split too.

    Returns:
        `{split: {"tiers": {tier: {"overall", "familiar", "unfamiliar", "sources", "generators", "ece", "reliability",
        "roc"}}}}`. `overall` has what `figures` and `at_points` say, 95 % `intervals`, and `generators_tpr_at_1_fpr`,
        the mean over generators by which models are chosen. `familiar` and `unfamiliar` are the photos of those sources
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
            "tiers": {tier: _tier(chosen, p_ai[inside], points, familiar) for tier, p_ai in scores.items()}
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


def _tier(
    samples: Sequence[Sample], p_ai: Scores, points: Mapping[str, OperatingPoint], familiar: Collection[str]
) -> dict[str, Any]:
    known = np.array([sample.source in familiar for sample in samples])
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
        "familiar": _part(known, target, p_ai),
        "unfamiliar": _part(~known, target, p_ai),
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


def _resaved(model: str, samples: Sequence[Sample], p_ai: Scores, progress: Progress) -> dict[str, Any]:
    moved = {name: np.abs(again - p_ai) for name, again in score(model, samples, progress, tuple(RESAVED)).items()}
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

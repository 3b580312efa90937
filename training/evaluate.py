"""How good a model is, per split, source and generator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from aiface_export.calibration import Scores
from aiface_export.errors import DataError
from aiface_export.samples import Sample
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score, roc_curve

from aiface_runtime import Classifier


def score(model: str, samples: Sequence[Sample], progress: Callable[[Iterable[Any]], Iterable[Any]]) -> Scores:
    """P(AI) of every sample.

    Args:
        model: An `.onnx` file or a bundled name, run by the runtime; a checkpoint folder, run by transformers.
        samples: Labelled photos.
        progress: Wraps an iterable to show how far it is, as tqdm does.

    Returns:
        float64 `[N]`, 0 to 1.

    Raises:
        AifaceError: A photo or the model cannot be used.
        ExportError: The checkpoint cannot be used.
    """
    if Path(model).is_dir():
        from aiface_export.sources import open_source

        source = open_source(model)
        paths = (sample.path for sample in progress(samples))
        of_ai: Scores = source.probabilities(paths)[:, source.ai_columns].sum(axis=1, dtype=np.float64)
        return of_ai
    with Classifier(model) as classifier:
        answers = classifier.predict_many((sample.path for sample in samples), on_error="raise")
        return np.array([answer.p_ai for answer in progress(answers)], dtype=np.float64)


def evaluate(samples: Sequence[Sample], p_ai: Scores) -> dict[str, Any]:
    """Figures for every split, and in it for every source and generator.

    A single source has one label only; its AUC, F1 and TPR are against all photos of the other label in its split.

    Args:
        samples: Labelled photos; a sample without a split counts as `all`.
        p_ai: float64 `[N]`.

    Returns:
        `{split: {"overall": figures, "sources": {name: figures}, "generators": {name: figures}}}`; figures hold
        `n_real`, `n_ai`, `accuracy`, `balanced_accuracy` and `f1` (AI from 0.5 on), `auc` and `tpr_at_1_fpr`.

    Raises:
        DataError: A split lacks one of the labels.
    """
    target = np.array([sample.target for sample in samples])
    splits = np.array([sample.split or "all" for sample in samples])
    report: dict[str, Any] = {}
    for split in sorted(set(splits), key=("train", "val", "test", "all").index):
        inside = splits == split
        if len(set(target[inside])) < 2:
            raise DataError(f"the {split} split needs photos of both labels to be evaluated")
        report[split] = {
            "overall": _figures(target[inside], p_ai[inside]),
            "sources": _groups([sample.source for sample in samples], inside, target, p_ai),
            "generators": _groups([sample.generator for sample in samples], inside, target, p_ai),
        }
    return report


def _groups(names: Sequence[str], inside: NDArray[np.bool_], target: NDArray[np.int_], p_ai: Scores) -> dict[str, Any]:
    found = np.array(names)
    groups = {}
    for name in sorted(set(found[inside]) - {""}):
        group = inside & (found == name)
        against = inside & (target != target[group][0]) & ~group
        figures = _figures(target[group | against], p_ai[group | against])
        figures["accuracy"] = float(((p_ai[group] >= 0.5) == target[group]).mean())
        del figures["balanced_accuracy"]  # of a group and the whole other class it would say little
        groups[name] = figures
    return groups


def _figures(target: NDArray[np.int_], p_ai: Scores) -> dict[str, float]:
    called_ai = p_ai >= 0.5
    false_positives, true_positives, _ = roc_curve(target, p_ai)
    return {
        "n_real": int((target == 0).sum()),
        "n_ai": int((target == 1).sum()),
        "accuracy": float(accuracy_score(target, called_ai)),
        "balanced_accuracy": float(balanced_accuracy_score(target, called_ai)),
        "f1": float(f1_score(target, called_ai)),
        "auc": float(roc_auc_score(target, p_ai)),
        "tpr_at_1_fpr": float(true_positives[false_positives <= 0.01].max()),
    }


def as_text(report: dict[str, Any]) -> str:
    """The report as an aligned table."""
    header = f"{'':22}{'real':>6}{'ai':>6}{'accuracy':>10}{'F1':>8}{'AUC':>8}{'TPR@1%FPR':>11}"
    lines = []
    for split, parts in report.items():
        lines += [f"== {split}", header, _row("overall", parts["overall"])]
        for kind in ("sources", "generators"):
            lines += [f"-- {kind}", *(_row(name, figures) for name, figures in parts[kind].items())]
    return "\n".join(lines)


def _row(name: str, figures: dict[str, float]) -> str:
    return (
        f"{name:22}{figures['n_real']:6d}{figures['n_ai']:6d}{figures['accuracy']:10.3f}"
        f"{figures['f1']:8.3f}{figures['auc']:8.3f}{figures['tpr_at_1_fpr']:11.3f}"
    )

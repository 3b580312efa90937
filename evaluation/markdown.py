"""What `aiface-train evaluate` found, as Markdown: in its own report and in the model card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .operating_points import DEFAULT

_SPLITS = ("train", "val", "test", "all")
_GLOSSARY = """\
Accuracy, balanced accuracy and F1 call AI from 0.5 on; the verdicts (AI, uncertain, real) are those of the operating \
points. Of a single source or generator, AUC and TPR are against all photos of the other label. In brackets: 95 % \
bootstrap intervals, exact ones where all photos of a source got one verdict. ECE is the mean gap between P(AI) and \
the share of AI."""


def markdown(evaluation: Mapping[str, Any], level: int = 2) -> str:
    """Tables of an evaluation; every figure comes out of its JSON.

    Args:
        evaluation: What `aiface_evaluation.evaluate.assess` returns.
        level: Of the headings.
    """
    conditions = [name for name, _ in evaluation["conditions"]]
    parts = [
        "Conditions: " + "; ".join(f"*{name}*: {what}" for name, what in evaluation["conditions"]) + ".",
        _GLOSSARY,
    ]
    for split in sorted(evaluation["splits"], key=_SPLITS.index):
        found = evaluation["splits"][split]
        by_condition = {condition: found["conditions"][condition] for condition in conditions}
        parts += [
            f"{'#' * level} {split}",
            _overall(by_condition),
            "Sources that have photos in the train split too, and those that have none:",
            _seen(by_condition),
            f"{'#' * (level + 1)} Operating points, {split}",
            _points(by_condition),
            f"{'#' * (level + 1)} Verdicts by source at {DEFAULT}, {split}",
            _sources(by_condition, DEFAULT),
        ]
        if found["conditions"][conditions[0]]["generators"]:
            parts += [f"{'#' * (level + 1)} Generators, {split}", _generators(by_condition)]
        parts += [
            f"{'#' * (level + 1)} By what the pixels show, {split}",
            f"Quartiles of the photos; {DEFAULT}, condition {conditions[0]}.",
            _image_stats(found["image_statistics"], evaluation["image_statistics"]),
            f"{'#' * (level + 1)} Saved again, {split}",
            _resaved(found["resaved"]),
        ]
    return "\n\n".join(parts)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; floats with three decimals, None as a dash."""
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _with_interval(value: float, ends: Sequence[float]) -> str:
    return f"{value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _overall(conditions: Mapping[str, Any]) -> str:
    header = (
        "condition",
        "real",
        "AI",
        "balanced accuracy",
        "F1",
        "AUC",
        "TPR at 1 % FPR",
        "mean over generators",
        "ECE",
    )
    rows = []
    for condition, found in conditions.items():
        figures = found["overall"]
        sure = {name: _with_interval(figures[name], ends) for name, ends in figures["intervals"].items()}
        measured = (sure["balanced_accuracy"], figures["f1"], sure["auc"], sure["tpr_at_1_fpr"])
        counts = (figures["n_real"], figures["n_ai"])
        rows.append((condition, *counts, *measured, figures["generators_tpr_at_1_fpr"], found["ece"]))
    return table(header, rows)


def _seen(conditions: Mapping[str, Any]) -> str:
    rows = []
    for kind, shown in (("seen", "in train"), ("unseen", "not in train")):
        for condition, figures in ((condition, found[kind]) for condition, found in conditions.items() if found[kind]):
            measured = (figures[name] for name in ("n_real", "n_ai", "accuracy", "f1", "auc", "tpr_at_1_fpr"))
            rows.append((shown, condition, *measured))
    return table(("sources", "condition", "real", "AI", "accuracy", "F1", "AUC", "TPR at 1 % FPR"), rows)


def _points(conditions: Mapping[str, Any]) -> str:
    first = next(iter(conditions.values()))["overall"]["points"]
    rows = [
        (name, condition, *(_percent(found["overall"]["points"][name][key]) for key in ("fpr", "tpr", "uncertain")))
        for name in sorted(first)
        for condition, found in conditions.items()
    ]
    return table(("point", "condition", "real called AI", "AI called AI", "uncertain, of all"), rows)


def _sources(conditions: Mapping[str, Any], point: str) -> str:
    rows = []
    groups = next(iter(conditions.values()))["sources"]
    for name in sorted(groups, key=lambda name: (groups[name]["label"], name)):
        cells = []
        for found in conditions.values():
            group = found["sources"][name]
            low, high = group["called_ai_interval"]
            calls = group["calls"][point]
            cells += [f"{calls['ai']:.1%} [{low:.1%}, {high:.1%}]", _percent(calls["uncertain"])]
        rows.append((name, groups[name]["label"], groups[name]["n"], *cells))
    columns = (f"{condition}: {verdict}" for condition in conditions for verdict in ("called AI", "uncertain"))
    return table(("source", "is", "photos", *columns), rows)


def _generators(conditions: Mapping[str, Any]) -> str:
    first = next(iter(conditions.values()))["generators"]
    columns = [f"{condition}: {figure}" for condition in conditions for figure in ("AUC", "TPR at 1 % FPR")]
    rows = [
        (
            name,
            group["n"],
            *(found["generators"][name][key] for found in conditions.values() for key in ("auc", "tpr_at_1_fpr")),
        )
        for name, group in sorted(first.items())
    ]
    return table(("generator", "photos", *columns), rows)


def _image_stats(image_stats: Mapping[str, Any], meanings: Mapping[str, str]) -> str:
    rows = [
        (
            f"{trait} ({meanings[trait]})" if number == 0 else "",
            f"{part['from']:.4g} to {part['to']:.4g}",
            part["n_real"],
            part["n_ai"],
            _percent(part["fpr"]),
            _percent(part["tpr"]),
            part["auc"],
        )
        for trait in sorted(meanings)
        for number, part in enumerate(image_stats[trait])
    ]
    return table(("measured", "from … to", "real", "AI", "real called AI", "AI called AI", "AUC"), rows)


def _resaved(resaved: Mapping[str, Any]) -> str:
    rows = [(name, _percent(found["within_0.1"]), found["p95"]) for name, found in sorted(resaved["formats"].items())]
    shown = table(("saved as", "P(AI) moves by 0.1 or less", "95th percentile of the move"), rows)
    return f"{resaved['n']} photos, evenly over the split.\n\n{shown}"

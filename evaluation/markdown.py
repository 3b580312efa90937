"""An evaluation as Markdown: in its own report and in the model card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from .names import ALL, DEFAULT, SPLITS
from .records.results import ConditionResult, Evaluation, GroupMetrics, Interval, QuartilePart, Resaved, SplitResult

_GLOSSARY = """\
Accuracy, balanced accuracy and F1 call AI from 0.5 on; the verdicts (AI, uncertain, real) are those of the operating \
points. Of a single source or generator, AUC and TPR are against all photos of the other label. In brackets: 95 % \
intervals, by bootstrap for the metrics of a split and exact ones (Clopper & Pearson) for shares of a source. ECE is \
the mean gap between P(AI) and the share of AI."""

_ByCondition: TypeAlias = Mapping[str, ConditionResult]


def markdown(evaluation: Evaluation, level: int = 2) -> str:
    """Give the tables of an evaluation; every number comes out of its record.

    Args:
        evaluation: Result of `aiface_evaluation.evaluate.assess`, or the evaluation in a manifest.
        level: Level of the headings, from 1.
    """
    parts = ["Conditions: " + "; ".join(f"*{name}*: {text}" for name, text in evaluation.conditions) + ".", _GLOSSARY]
    if evaluation.left_out:
        parts.append(f"**{evaluation.left_out} listed photos could not be decoded; they count nowhere below.**")
    for split in sorted(evaluation.splits, key=(*SPLITS, ALL).index):
        parts += _split(split, evaluation.splits[split], evaluation, level)
    return "\n\n".join(parts)


def _split(split: str, result: SplitResult, evaluation: Evaluation, level: int) -> list[str]:
    conditions = {name: result.conditions[name] for name, _ in evaluation.conditions}
    first = evaluation.conditions[0][0]
    heading, subheading = "#" * level, "#" * (level + 1)
    parts = [
        f"{heading} {split}",
        _overall(conditions),
        "Sources that have photos in the train split too, and those that have none:",
        _seen(conditions),
        f"{subheading} Operating points, {split}",
        _points(conditions),
        f"{subheading} Verdicts by source at {DEFAULT}, {split}",
        _sources(conditions, DEFAULT),
    ]
    for title in ("kinds", "generators"):
        if groups := {name: getattr(result, title) for name, result in conditions.items() if getattr(result, title)}:
            parts += [f"{subheading} {title.capitalize()} of AI photos, {split}", _detected(title[:-1], groups)]
    return [
        *parts,
        f"{subheading} By what the pixels show, {split}",
        f"Quartiles of the photos; {DEFAULT}, condition {first}.",
        _image_statistics(result.image_statistics, evaluation.image_statistics),
        f"{subheading} Saved again, {split}",
        _resaved(result.resaved),
    ]


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Give a Markdown table; floats with three decimals, None as a dash."""
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _with_interval(value: float, interval: Interval) -> str:
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _overall(conditions: _ByCondition) -> str:
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
    for condition, result in conditions.items():
        overall = result.overall
        accuracy, auc, tpr = (
            _with_interval(getattr(overall, name), overall.intervals[name])
            for name in ("balanced_accuracy", "auc", "tpr_at_1_fpr")
        )
        counts, mean_tpr = (overall.n_real, overall.n_ai), overall.generators_tpr_at_1_fpr
        rows.append((condition, *counts, accuracy, overall.f1, auc, tpr, mean_tpr, result.ece))
    return table(header, rows)


def _seen(conditions: _ByCondition) -> str:
    rows = []
    for attribute, shown in (("seen", "in train"), ("unseen", "not in train")):
        for condition, result in conditions.items():
            if metrics := getattr(result, attribute):
                counts, ranking = (metrics.n_real, metrics.n_ai), (metrics.auc, metrics.tpr_at_1_fpr)
                rows.append((shown, condition, *counts, metrics.accuracy, metrics.f1, *ranking))
    return table(("sources", "condition", "real", "AI", "accuracy", "F1", "AUC", "TPR at 1 % FPR"), rows)


def _points(conditions: _ByCondition) -> str:
    rows = []
    for name in sorted(next(iter(conditions.values())).overall.points):
        for condition, result in conditions.items():
            rates = result.overall.points[name]
            rows.append((name, condition, *map(_percent, (rates.fpr, rates.tpr, rates.uncertain))))
    return table(("point", "condition", "real called AI", "AI called AI", "uncertain, of all"), rows)


def _sources(conditions: _ByCondition, point: str) -> str:
    rows = []
    groups = next(iter(conditions.values())).sources
    for name in sorted(groups, key=lambda name: (groups[name].label, name)):
        cells = []
        for result in conditions.values():
            group = result.sources[name]
            (low, high), verdicts = group.called_ai_interval, group.verdicts[point]
            cells += [f"{verdicts.ai:.1%} [{low:.1%}, {high:.1%}]", _percent(verdicts.uncertain)]
        rows.append((name, groups[name].label, groups[name].n, *cells))
    columns = (f"{condition}: {verdict}" for condition in conditions for verdict in ("called AI", "uncertain"))
    return table(("source", "is", "photos", *columns), rows)


def _detected(title: str, groups: Mapping[str, Mapping[str, GroupMetrics]]) -> str:
    """Compare groups of AI photos, by condition and name, with all real photos."""
    columns = [f"{condition}: {metric}" for condition in groups for metric in ("AUC", "TPR at 1 % FPR")]
    rows = []
    for name, group in sorted(next(iter(groups.values())).items()):
        metrics = [by_name[name] for by_name in groups.values()]
        rows.append((name, group.n, *(value for metric in metrics for value in (metric.auc, metric.tpr_at_1_fpr))))
    return table((title, "photos", *columns), rows)


def _image_statistics(statistics: Mapping[str, tuple[QuartilePart, ...]], meanings: Mapping[str, str]) -> str:
    rows = [
        (
            f"{name} ({meanings[name]})" if number == 0 else "",
            f"{part.low:.4g} to {part.high:.4g}",
            part.n_real,
            part.n_ai,
            _percent(part.fpr),
            _percent(part.tpr),
            part.auc,
        )
        for name in sorted(meanings)
        for number, part in enumerate(statistics[name])
    ]
    return table(("measured", "from … to", "real", "AI", "real called AI", "AI called AI", "AUC"), rows)


def _resaved(resaved: Resaved) -> str:
    rows = [(name, _percent(moved.within), moved.p95) for name, moved in sorted(resaved.formats.items())]
    shown = table(("saved as", "P(AI) moves by 0.1 or less", "95th percentile of the move"), rows)
    return f"{resaved.n} photos, evenly over the split.\n\n{shown}"

"""An evaluation as Markdown: in its own report and in the model card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from .names import ALL, DEFAULT, SPLITS
from .records.headline import MIN_PHOTOS, Detection, Estimate, Headline, headline
from .records.results import ConditionResult, Evaluation, Interval, QuartilePart, Resaved, SplitResult

_GLOSSARY = """\
Accuracy, balanced accuracy and F1 call AI from 0.5 on; the verdicts (AI, uncertain, real) are those of the operating \
points. Of a single source or generator, AUC and TPR are against all photos of the other label. In brackets: 95 % \
intervals, by bootstrap for the metrics of a split and exact ones (Clopper & Pearson) for shares of a source. ECE is \
the mean gap between P(AI) and the share of AI."""

_DETECTION = (
    *("real", "AI", "AUC", "TPR at 1 % FPR", "mean over generators"),
    *(f"real called AI at {DEFAULT}", "AI called AI", "ECE"),
)
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
        headline_table({name: {"": headline(result)} for name, result in conditions.items()}),
        "All AI photos, whatever their kind, against all real ones:",
        _overall(conditions),
        "Sources that have photos in the train split too, and those that have none:",
        _seen(conditions),
        f"{subheading} Operating points, {split}",
        _points(conditions),
        f"{subheading} Verdicts by source at {DEFAULT}, {split}",
        _sources(conditions, DEFAULT),
    ]
    if all(result.generators for result in conditions.values()):
        parts += [f"{subheading} Generators of AI photos, {split}", _generators(conditions)]
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


def _with_interval(value: float, interval: Interval | None) -> str:
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def estimate(value: Estimate | None) -> str:
    """Give a metric with its interval, with three decimals."""
    return "-" if value is None else _with_interval(value.value, value.interval)


def percent_estimate(value: Estimate | None) -> str:
    """Give a share with its interval, in percent."""
    if value is None:
        return "-"
    return f"{value.value:.1%}" + (f" [{value.interval[0]:.1%}, {value.interval[1]:.1%}]" if value.interval else "")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def headline_table(headlines: Mapping[str, Mapping[str, Headline]]) -> str:
    """Give the figures that models are compared by, and the real sources that are called AI most.

    Args:
        headlines: Figures by condition and name of the model; a single model needs no name.
    """
    models = [name for name in next(iter(headlines.values())) if name]
    named = [(condition, name, part) for condition, parts in headlines.items() for name, part in parts.items()]
    kinds = dict.fromkeys(kind for _, _, part in named for kind in part.rows)
    rows = [
        (condition, kind, *([name] if models else []), *_detection(part.rows[kind]))
        for condition, parts in headlines.items()
        for kind in kinds
        for name, part in parts.items()
    ]
    model = ["model"] if models else []
    worst = [
        (
            condition,
            *([name] if models else []),
            part.worst_source.name,
            part.worst_source.n,
            percent_estimate(part.worst_source.called_ai),
        )
        for condition, name, part in named
        if part.worst_source
    ]
    shown = table(("condition", "AI photos", *model, *_DETECTION), rows)
    if not worst:
        return shown
    text = f"Largest share called AI at {DEFAULT} of the real sources with {MIN_PHOTOS} photos or more:"
    return f"{shown}\n\n{text}\n\n{table(('condition', *model, 'source', 'photos', 'called AI'), worst)}"


def _detection(row: Detection) -> tuple[Any, ...]:
    ranking = (row.auc, row.tpr_at_1_fpr, row.generators_tpr_at_1_fpr)
    shares = (row.real_called_ai, row.ai_called_ai)
    return (row.n_real, row.n_ai, *map(estimate, ranking), *map(percent_estimate, shares), row.ece)


def _overall(conditions: _ByCondition) -> str:
    columns = {
        "accuracy": "accuracy",
        "balanced accuracy": "balanced_accuracy",
        "F1": "f1",
        "AUC": "auc",
        "TPR at 1 % FPR": "tpr_at_1_fpr",
        "mean over generators": "generators_tpr_at_1_fpr",
    }
    rows = []
    for condition, result in conditions.items():
        overall = result.overall
        metrics = [_with_interval(getattr(overall, name), overall.intervals.get(name)) for name in columns.values()]
        rows.append((condition, overall.n_real, overall.n_ai, *metrics, result.ece))
    return table(("condition", "real", "AI", *columns, "ECE"), rows)


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


def _generators(conditions: _ByCondition) -> str:
    """Compare the photos of each generator with all real ones."""
    columns = [f"{condition}: {metric}" for condition in conditions for metric in ("AUC", "TPR at 1 % FPR")]
    rows = []
    for name, group in sorted(next(iter(conditions.values())).generators.items()):
        metrics = [result.generators[name] for result in conditions.values()]
        rows.append((name, group.n, *(value for metric in metrics for value in (metric.auc, metric.tpr_at_1_fpr))))
    return table(("generator", "photos", *columns), rows)


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

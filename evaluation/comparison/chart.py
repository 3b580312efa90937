"""AUC against milliseconds and megabytes."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..records.comparison import Comparison

# Colours of Okabe & Ito (2008), which people with any colour vision tell apart; the shapes differ too.
_STYLES = {"clean": ("o", "#0072B2"), "web": ("s", "#D55E00"), "hard": ("^", "#009E73")}
_APART = 1.025  # times to the right is the next condition of a model, so that their intervals stay apart
_STEPS = (1.0, 2.0, 5.0)  # of a decade that have a number on the axis
_ROOM = 1.7  # times the largest value, and of the smallest one, that an axis goes on for names


def auc_chart(comparison: Comparison) -> Figure:
    """Plot AUC, of generated photos where the data tells kinds apart, against latency and file size; one row a split.

    Latency has a column where it was measured.
    """
    columns = {"size of the file, MB": {model.name: model.size / 1e6 for model in comparison.models}}
    if timings := {model.name: model.latency.median for model in comparison.models if model.latency}:
        columns = {f"{comparison.photo} to answer on one thread, ms": timings, **columns}
    splits = list(comparison.models[0].splits)
    figure = Figure(figsize=(5.2 * len(columns), 4.4 * len(splits)), layout="constrained")
    grid = figure.subplots(len(splits), len(columns), squeeze=False, sharey="row")
    for row, split in zip(grid, splits, strict=True):
        for axes, (label, values) in zip(row, columns.items(), strict=True):
            kind = _panel(axes, comparison, split, values)
            axes.set(xlabel=label, title=split)
        row[0].set_ylabel(f"AUC, {kind} against real")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _panel(axes: Axes, comparison: Comparison, split: str, values: Mapping[str, float]) -> str:
    """Plot one split against one value of each model, and tell which AI photos the AUC is of."""
    for number, (condition, _) in enumerate(comparison.conditions):
        marker, colour = _STYLES[condition]
        for model in comparison.models:
            kind, figures = next(iter(model.splits[split][condition].rows.items()))
            x, auc = values[model.name] * _APART**number, figures.auc
            low, high = auc.interval or (auc.value, auc.value)
            label = condition if model is comparison.models[0] else None
            errors = [[max(auc.value - low, 0)], [max(high - auc.value, 0)]]  # of few photos the AUC may lie outside
            axes.errorbar(x, auc.value, errors, fmt=marker, color=colour, markersize=5, elinewidth=1, label=label)
    _name_points(axes, comparison, split, values)
    _log_axis(axes, values)
    return kind


def _name_points(axes: Axes, comparison: Comparison, split: str, values: Mapping[str, float]) -> None:
    """Write each model's name above its highest interval."""
    for model in comparison.models:
        figures = [next(iter(result.rows.values())).auc for result in model.splits[split].values()]
        top = max((auc.interval or (auc.value, auc.value))[1] for auc in figures)
        place = (values[model.name] * _APART, top)
        axes.annotate(model.name, place, (0, 5), textcoords="offset points", ha="center", fontsize=8)


def _log_axis(axes: Axes, values: Mapping[str, float]) -> None:
    axes.set(xscale="log", xlim=(min(values.values()) / _ROOM, max(values.values()) * _ROOM))
    axes.xaxis.set_major_locator(LogLocator(subs=_STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.12)
    axes.grid(alpha=0.25, linewidth=0.6)

"""AUC against milliseconds and megabytes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..records.comparison import ComparedModel, Comparison
from ..records.headline import Estimate
from ..records.results import Interval

# Colours of Okabe & Ito (2008), which people with any colour vision tell apart; the shapes differ too.
_STYLES = {"clean": ("o", "#0072B2"), "web": ("s", "#D55E00"), "hard": ("^", "#009E73")}
_ROOM = 2.0  # times the largest value, and of the smallest one, that an axis goes on for names
_APART = 0.015  # of an axis, between the conditions of a model, so that their intervals stay apart
_NEAR = 0.3  # of an axis, within which the names of two models would touch


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
    left, right = min(values.values()) / _ROOM, max(values.values()) * _ROOM
    for number, (condition, _) in enumerate(comparison.conditions):
        marker, colour = _STYLES[condition]
        for model in comparison.models:
            kind, figures = next(iter(model.splits[split][condition].rows.items()))
            x, auc = values[model.name] * (right / left) ** (_APART * (number - 1)), figures.auc
            low, high = _interval(auc)
            label = condition if model is comparison.models[0] else None
            errors = [[max(auc.value - low, 0)], [max(high - auc.value, 0)]]  # of few photos the AUC may lie outside
            axes.errorbar(x, auc.value, errors, fmt=marker, color=colour, markersize=5, elinewidth=1, label=label)
    axes.set(xscale="log", xlim=(left, right))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if right / left < 500 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.15)
    axes.grid(alpha=0.25, linewidth=0.6)
    _name_points(axes, {model.name: _range(model, split) for model in comparison.models}, values)
    return kind


def _interval(auc: Estimate) -> Interval:
    return auc.interval or (auc.value, auc.value)


def _range(model: ComparedModel, split: str) -> Interval:
    """Give the lowest and the highest end of the model's intervals."""
    low, high = zip(
        *(_interval(next(iter(part.rows.values())).auc) for part in model.splits[split].values()), strict=True
    )
    return min(low), max(high)


def _name_points(axes: Axes, ranges: Mapping[str, Interval], values: Mapping[str, float]) -> None:
    """Write each model's name above its points, or below where a better model is near."""
    left, right = axes.get_xlim()
    across = {name: math.log(value / left) / math.log(right / left) for name, value in values.items()}
    for name, (low, high) in ranges.items():
        below = any(abs(across[name] - across[other]) < _NEAR and ranges[other] > (low, high) for other in ranges)
        aligned = "center" if 0.3 < across[name] < 0.7 else "left" if across[name] <= 0.3 else "right"
        offset = ({"left": -8, "center": 0, "right": 8}[aligned], -12 if below else 5)
        point = (values[name], low if below else high)
        axes.annotate(name, point, offset, textcoords="offset points", ha=aligned, fontsize=8)

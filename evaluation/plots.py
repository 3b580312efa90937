"""Plots of an evaluation, from its JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .operating_points import DEFAULT

_COLOURS = {"clean": "#0b6e4f", "web": "#d98c1f", "hard": "#8a2846"}  # also apart in grey
_VERDICTS = {"ai": "#b5382c", "uncertain": "#d9d9d9", "real": "#2f6ca5"}
_CALLED = {"ai": "called AI", "uncertain": "uncertain", "real": "called real"}


def reliability(report: Mapping[str, Any]) -> Figure:
    """P(AI) against the share of AI, by tier; an area says how many photos."""
    figure, panels = _panels(report)
    for split, axes in panels.items():
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":")
        for condition, found in report["splits"][split]["conditions"].items():
            mean, share, photos = zip(*found["reliability"], strict=True)
            most = max(photos)
            label = f"{condition}: ECE {found['ece']:.3f}"
            axes.plot(mean, share, color=_COLOURS[condition], linewidth=1.4, label=label)
            axes.scatter(
                mean, share, [6 + 120 * count / most for count in photos], color=_COLOURS[condition], alpha=0.6
            )
        axes.set(xlabel="P(AI), mean of a bin", ylabel="share of AI in the bin", title=split)
        axes.legend(loc="upper left", frameon=False)
    return figure


def roc(report: Mapping[str, Any]) -> Figure:
    """True against false positive rate, by tier; logarithmic, for what counts is on the left."""
    figure, panels = _panels(report)
    for split, axes in panels.items():
        axes.axvline(0.01, color="#999999", linewidth=1, linestyle=":")
        for condition, found in report["splits"][split]["conditions"].items():
            false, true = zip(*found["roc"], strict=True)
            label = f"{condition}: AUC {found['overall']['auc']:.3f}"
            axes.plot(false[1:], true[1:], color=_COLOURS[condition], label=label, drawstyle="steps-post")
        axes.set(xscale="log", xlim=(0.002, 1), ylim=(0, 1.02), title=split)
        axes.set(xlabel="real photos called AI", ylabel="AI photos called AI")
        axes.set_xticks([0.002, 0.01, 0.1, 1], ["0.2 %", "1 %", "10 %", "100 %"])
        axes.legend(loc="lower right", frameon=False)
    return figure


def generators(report: Mapping[str, Any]) -> Figure:
    """Verdicts on every generator and every real source at the default operating point, by tier."""
    splits, conditions = report["splits"], [name for name, _ in report["conditions"]]
    groups = {split: _bars(found["conditions"]) for split, found in splits.items()}
    heights = [len(bars) for bars in groups.values()]
    figure = Figure(
        figsize=(3.2 * len(conditions) + 2, 0.28 * sum(heights) + 1.2 * len(splits) + 0.6), layout="constrained"
    )
    grid = figure.subplots(len(splits), len(conditions), squeeze=False, sharey="row", height_ratios=heights)
    for row, (split, bars) in zip(grid, groups.items(), strict=True):
        for axes, condition in zip(row, conditions, strict=True):
            _stack(axes, [found[condition] for found in bars.values()])
            axes.set(title=f"{split}, {condition}", xlim=(0, 1))
            axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
        row[0].set_yticks(range(len(bars)), list(bars))
        row[0].invert_yaxis()
    handles = grid[0][0].get_legend_handles_labels()[0]
    figure.legend(handles, list(_CALLED.values()), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _bars(conditions: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """By label of the bar and tier: shares of the verdicts."""
    first = next(iter(conditions.values()))
    bars = {}
    for kind, label, title in (("generators", "ai", "AI"), ("sources", "real", "real")):
        for name, group in first[kind].items():
            if group["label"] == label:
                bars[f"{title}: {name} ({group['n']})"] = {
                    condition: found[kind][name]["calls"][DEFAULT] for condition, found in conditions.items()
                }
    return bars


def _stack(axes: Axes, bars: list[dict[str, float]]) -> None:
    left = [0.0] * len(bars)
    for verdict, colour in _VERDICTS.items():
        shares = [bar[verdict] for bar in bars]
        axes.barh(range(len(bars)), shares, left=left, color=colour, height=0.72, label=_CALLED[verdict])
        left = [start + share for start, share in zip(left, shares, strict=True)]


def _panels(report: Mapping[str, Any]) -> tuple[Figure, dict[str, Axes]]:
    """One square plot a split, side by side."""
    splits = list(report["splits"])
    figure = Figure(figsize=(4.6 * len(splits), 4.8), layout="constrained")
    return figure, dict(zip(splits, figure.subplots(1, len(splits), squeeze=False)[0], strict=True))


PLOTS: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
    "reliability": reliability,
    "roc": roc,
    "generators": generators,
}

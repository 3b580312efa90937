"""Plots of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .names import DEFAULT
from .records.results import ConditionResult, Evaluation, VerdictShares

_COLOURS = {"clean": "#0b6e4f", "web": "#d98c1f", "hard": "#8a2846"}  # also apart in grey
_VERDICTS = {"ai": "#b5382c", "uncertain": "#d9d9d9", "real": "#2f6ca5"}
_MIN_PHOTOS = 20  # of a bar, where any group has so many: of fewer, shares say little, and hundreds do not fit
_CALLED = {"ai": "called AI", "uncertain": "uncertain", "real": "called real"}


def reliability(evaluation: Evaluation) -> Figure:
    """Plot P(AI) against the share of AI, by condition; an area stands for the number of photos."""
    figure, panels = _panels(evaluation)
    for split, axes in panels.items():
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":")
        for condition, result in evaluation.splits[split].conditions.items():
            mean, share, photos = zip(*result.reliability, strict=True)
            sizes = [6 + 120 * count / max(photos) for count in photos]
            colour = _COLOURS[condition]
            axes.plot(mean, share, color=colour, linewidth=1.4, label=f"{condition}: ECE {result.ece:.3f}")
            axes.scatter(mean, share, sizes, color=colour, alpha=0.6)
        axes.set(xlabel="P(AI), mean of a bin", ylabel="share of AI in the bin", title=split)
        axes.legend(loc="upper left", frameon=False)
    return figure


def roc(evaluation: Evaluation) -> Figure:
    """Plot true against false positive rate, by condition; logarithmic, because low rates are what counts."""
    figure, panels = _panels(evaluation)
    for split, axes in panels.items():
        axes.axvline(0.01, color="#999999", linewidth=1, linestyle=":")
        for condition, result in evaluation.splits[split].conditions.items():
            false, true = zip(*result.roc, strict=True)
            label = f"{condition}: AUC {result.overall.auc:.3f}"
            axes.plot(false[1:], true[1:], color=_COLOURS[condition], label=label, drawstyle="steps-post")
        axes.set(xscale="log", xlim=(0.002, 1), ylim=(0, 1.02), title=split)
        axes.set(xlabel="real photos called AI", ylabel="AI photos called AI")
        axes.set_xticks([0.002, 0.01, 0.1, 1], ["0.2 %", "1 %", "10 %", "100 %"])
        axes.legend(loc="lower right", frameon=False)
    return figure


def generators(evaluation: Evaluation) -> Figure:
    """Plot verdicts on every generator and every real source at the default operating point, by condition."""
    conditions = [name for name, _ in evaluation.conditions]
    groups = {split: _bars(result.conditions) for split, result in evaluation.splits.items()}
    heights = [len(bars) for bars in groups.values()]
    size = (3.2 * len(conditions) + 2, 0.28 * sum(heights) + 1.2 * len(groups) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(groups), len(conditions), squeeze=False, sharey="row", height_ratios=heights)
    for row, (split, bars) in zip(grid, groups.items(), strict=True):
        for axes, condition in zip(row, conditions, strict=True):
            _stack(axes, [shares[condition] for shares in bars.values()])
            axes.set(title=f"{split}, {condition}", xlim=(0, 1))
            axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
        row[0].set_yticks(range(len(bars)), list(bars))
        row[0].set_ylim(len(bars) - 0.5, -0.5)
    handles = grid[0][0].get_legend_handles_labels()[0]
    title = f"groups of at least {_MIN_PHOTOS} photos, where there are any"
    figure.legend(handles, list(_CALLED.values()), title=title, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _bars(conditions: Mapping[str, ConditionResult]) -> dict[str, dict[str, VerdictShares]]:
    """Give shares of the verdicts by label of the bar and condition."""
    bars, large = {}, {}
    for attribute, label, title in (("generators", "ai", "AI"), ("sources", "real", "real")):
        groups = {condition: getattr(result, attribute) for condition, result in conditions.items()}
        for name, group in next(iter(groups.values())).items():
            if group.label == label:
                bar = {condition: by_name[name].verdicts[DEFAULT] for condition, by_name in groups.items()}
                bars[f"{title}: {name} ({group.n})"] = bar
                if group.n >= _MIN_PHOTOS:
                    large[f"{title}: {name} ({group.n})"] = bar
    return large or bars


def _stack(axes: Axes, bars: list[VerdictShares]) -> None:
    left = [0.0] * len(bars)
    for verdict, colour in _VERDICTS.items():
        shares = [getattr(bar, verdict) for bar in bars]
        axes.barh(range(len(bars)), shares, left=left, color=colour, height=0.72, label=_CALLED[verdict])
        left = [start + share for start, share in zip(left, shares, strict=True)]


def _panels(evaluation: Evaluation) -> tuple[Figure, dict[str, Axes]]:
    """Make one square plot a split, side by side."""
    splits = list(evaluation.splits)
    figure = Figure(figsize=(4.6 * len(splits), 4.8), layout="constrained")
    return figure, dict(zip(splits, figure.subplots(1, len(splits), squeeze=False)[0], strict=True))


PLOTS: dict[str, Callable[[Evaluation], Figure]] = {
    "reliability": reliability,
    "roc": roc,
    "generators": generators,
}

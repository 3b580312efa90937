"""Results → the charts of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .measurement import Measurements, ordered, read_columns
from .subjects import OURS

_KINDS = ("178x218.jpg", "1024x1024.jpg", "4000x3000.jpg")
_NAN = float("nan")


def draw(results: Mapping[str, Any], folder: Path) -> list[tuple[str, Path]]:
    """Draw what the results allow.

    Returns:
        Titles and PNG files.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(exist_ok=True)
    charts = []
    if record := results.get("answers bundled"):
        charts.append(("From file to answer", _bars(read_columns(record), folder / "answers.png")))
    if record := results.get("size"):
        charts.append(("From file to answer by size", _lines(read_columns(record), folder / "size.png")))
    return charts


def _bars(columns: Mapping[str, Measurements], file: Path) -> Path:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    kinds = [kind for kind in _KINDS if kind in columns]
    names = [name for name in ordered(columns) if not columns[kinds[0]][name].failed]
    for offset, name in enumerate(names):
        ratios = [columns[kind][name].ratio for kind in kinds]
        positions = [index + offset * 0.8 / len(names) for index in range(len(kinds))]
        axes.barh(positions, [_NAN if ratio is None else ratio for ratio in ratios], 0.75 / len(names), label=name)
    axes.set(yticks=[index + 0.35 for index in range(len(kinds))], yticklabels=kinds)
    axes.set(xlabel=f"times what {OURS} takes, one thread", title="From file to answer, the bundled model")
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)
    plt.close(figure)
    return file


def _lines(columns: Mapping[str, Measurements], file: Path) -> Path:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    sizes = [int(size) for size in columns]
    for name in ordered(columns):
        values = [ms for column in columns.values() if name in column and (ms := column[name].ms) is not None]
        if len(values) == len(sizes):
            axes.plot(sizes, values, marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="megapixels of the JPEG", ylabel="ms, one thread")
    axes.set(title="From file to answer by size", xticks=sizes, xticklabels=[str(size) for size in sizes])
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)
    plt.close(figure)
    return file

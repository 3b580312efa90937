"""An evaluation for people: a text table, a Markdown page and plots, all from its record."""

from __future__ import annotations

import json
from pathlib import Path

from .errors import DataError
from .markdown import markdown
from .plots import PLOTS
from .records.results import Evaluation, Metrics


def check_output(output: Path) -> None:
    """Find out before minutes of work that the report cannot be written there.

    Raises:
        DataError: Not a `.json` file, or no such folder.
    """
    if output.suffix != ".json":
        raise DataError(f"{output}: must end in .json; the page and the plots lie beside it")
    if not output.parent.is_dir():
        raise DataError(f"{output}: there is no folder {output.parent}; make it first")


def write(evaluation: Evaluation, output: Path) -> None:
    """Write FILE.json, FILE.md and FILE-reliability.png, FILE-roc.png and FILE-generators.png.

    Args:
        evaluation: Result of `assess`.
        output: Path of FILE.json.

    Raises:
        OSError: A file cannot be written.
    """
    output.write_text(as_json(evaluation) + "\n", encoding="utf-8")
    images = []
    for name, draw in PLOTS.items():
        file = output.with_name(f"{output.stem}-{name}.png")
        draw(evaluation).savefig(file, dpi=110)
        images.append(f"![{name}]({file.name})")
    command = f"```sh\n{evaluation.command}\n```"
    page = [f"# {evaluation.model} on labelled photos", command, *images, markdown(evaluation)]
    output.with_suffix(".md").write_text("\n\n".join(page) + "\n", encoding="utf-8")


def as_json(evaluation: Evaluation) -> str:
    """Give the evaluation as JSON text."""
    return json.dumps(evaluation.to_json(), indent=1, ensure_ascii=False)


def as_text(evaluation: Evaluation) -> str:
    """Give the evaluation as an aligned table."""
    header = f"{'':24}{'photos':>7}{'accuracy':>10}{'F1':>8}{'AUC':>8}{'TPR@1%FPR':>11}"
    lines = []
    for split, result in evaluation.splits.items():
        for condition, parts in result.conditions.items():
            overall = parts.overall
            lines += [f"== {split}, {condition}", header, _row("overall", overall.n_real + overall.n_ai, overall)]
            lines += [
                f"{name:24}FPR {rates.fpr:.3f}, TPR {rates.tpr:.3f}, uncertain {rates.uncertain:.3f}"
                for name, rates in overall.points.items()
            ]
            lines += [
                f"{name:24}95 % interval {low:.3f} to {high:.3f}" for name, (low, high) in overall.intervals.items()
            ]
            for title, groups in (("kinds", parts.kinds), ("sources", parts.sources), ("generators", parts.generators)):
                if groups:
                    lines += [f"-- {title}", *(_row(name, group.n, group) for name, group in groups.items())]
    if evaluation.left_out:
        lines.append(f"{evaluation.left_out} photos could not be decoded and are left out")
    return "\n".join(lines)


def _row(name: str, count: int, metrics: Metrics) -> str:
    return f"{name:24}{count:7d}{metrics.accuracy:10.3f}{metrics.f1:8.3f}{metrics.auc:8.3f}{metrics.tpr_at_1_fpr:11.3f}"

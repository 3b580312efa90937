"""An evaluation for people: a text table, a Markdown page and plots, all from its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import DataError
from .markdown import markdown
from .plots import PLOTS


def check_output(output: Path) -> None:
    """Find out before minutes of work that the report cannot be written there.

    Raises:
        DataError: Not a `.json` file, or no such folder.
    """
    if output.suffix != ".json":
        raise DataError(f"{output}: must end in .json; the page and the plots lie beside it")
    if not output.parent.is_dir():
        raise DataError(f"{output}: there is no folder {output.parent}; make it first")


def write(report: Mapping[str, Any], output: Path) -> None:
    """Write FILE.json, FILE.md and FILE-reliability.png, FILE-roc.png and FILE-generators.png.

    Args:
        report: What `assess` returns.
        output: FILE.json.
    """
    output.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shown = []
    for name, draw in PLOTS.items():
        file = output.with_name(f"{output.stem}-{name}.png")
        draw(report).savefig(file, dpi=110)
        shown.append(f"![{name}]({file.name})")
    command = f"```sh\n{report['command']}\n```"
    page = [f"# {report['model']} on labelled photos", command, *shown, markdown(report)]
    output.with_suffix(".md").write_text("\n\n".join(page) + "\n", encoding="utf-8")


def as_text(report: Mapping[str, Any]) -> str:
    """The report as an aligned table."""
    header = f"{'':24}{'photos':>7}{'accuracy':>10}{'F1':>8}{'AUC':>8}{'TPR@1%FPR':>11}"
    lines = []
    for split, found in report["splits"].items():
        for condition, parts in found["conditions"].items():
            overall = parts["overall"]
            count = overall["n_real"] + overall["n_ai"]
            lines += [f"== {split}, {condition}", header, _row("overall", overall | {"n": count})]
            lines += [
                f"{name:24}FPR {point['fpr']:.3f}, TPR {point['tpr']:.3f}, uncertain {point['uncertain']:.3f}"
                for name, point in overall["points"].items()
            ]
            for kind in ("sources", "generators"):
                lines += [f"-- {kind}", *(_row(name, figures) for name, figures in parts[kind].items())]
    return "\n".join(lines)


def _row(name: str, figures: Mapping[str, Any]) -> str:
    return (
        f"{name:24}{figures['n']:7d}{figures['accuracy']:10.3f}{figures['f1']:8.3f}"
        f"{figures['auc']:8.3f}{figures['tpr_at_1_fpr']:11.3f}"
    )

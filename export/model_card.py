"""What lies beside a bundled model: its card, generated from its manifest, and its entry in `index.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiface_evaluation.markdown import markdown, table
from aiface_evaluation.results import Evaluation
from aiface_runtime.engine import Engine
from aiface_runtime.manifest import Manifest


def bundle(file: Path) -> None:
    """Write `NAME.md` beside the model and make the model the default of that folder's `index.json`.

    Raises:
        AifaceError: The file is not a model that the runtime opens.
    """
    manifest = Engine(file, "cpu").manifest
    file.with_suffix(".md").write_text(card(manifest, file.stat().st_size), encoding="utf-8")
    index_file = file.parent / "index.json"
    index: dict[str, Any] = (
        json.loads(index_file.read_text(encoding="utf-8")) if index_file.is_file() else {"models": {}}
    )
    index["default"] = manifest.name
    index["models"][manifest.name] = {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "size": file.stat().st_size,
    }
    index_file.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def card(manifest: Manifest, size: int) -> str:
    """The model card, Markdown; every figure comes out of the manifest."""
    document = manifest.document
    parts = [
        f"# {manifest.name} {manifest.version}",
        f"{document['limits']}",
        "## What it is",
        _table(
            ("Network", document["source"]["architecture"]),
            ("Input", f"uint8 RGB {manifest.height} x {manifest.width}; {_steps(document)}"),
            ("Large JPEGs", _decoding(manifest)),
            ("Output", f"probabilities of {', '.join(manifest.labels)}; AI means {', '.join(manifest.ai_labels)}"),
            ("Evidence map", _evidence(manifest)),
            ("Size", f"{size / 1e6:.1f} MB"),
            ("Licence", document["licence"]),
            ("Exporter", document["export"]["exporter"]),
            ("Precision", document["export"].get("precision", {}).get("chosen", "fp32")),
            ("Calibration", _flat(document["calibration"])),
        ),
    ]
    if training := document["training"]:
        parts += [
            "## How it was made",
            "\n".join(("```sh", *_commands(document), "```")),
            _table(*((name, _flat(value)) for name, value in training.items() if name != "commands")),
        ]
    parts += ["## Operating points", _points(document["operating_points"])]
    if evaluation := document["evaluation"]:
        parts += ["## Figures", markdown(Evaluation.from_json(evaluation, manifest.id), level=3)]
    if parity := document.get("parity"):
        parts += [
            "## Parity of the fp32 graph with the checkpoint",
            _table(*((name, _flat(value)) for name, value in parity.items())),
        ]
    chosen = document["export"].get("precision", {}).get("chosen", "fp32")
    if chosen != "fp32":
        figures = document["export"]["precision"]["candidates"][chosen]
        shown = {name: value for name, value in figures.items() if name != "in_float"}
        shown["nodes in float"] = len(figures["in_float"])
        parts += [
            f"## {chosen} against the checkpoint",
            _table(*((name, _flat(value)) for name, value in shown.items())),
        ]
    return "\n\n".join(parts) + "\n"


def _commands(document: Mapping[str, Any]) -> list[str]:
    evaluation = document["evaluation"] or {}
    return [
        line
        for line in (*document["training"]["commands"], evaluation.get("command"), document["export"]["command"])
        if line
    ]


def _steps(document: Mapping[str, Any]) -> str:
    return ", then ".join(
        f"{step['op']} " + " ".join(f"{name} {value}" for name, value in sorted(step.items()) if name != "op")
        for step in document["input"]["steps"]
    )


def _decoding(manifest: Manifest) -> str:
    if manifest.scaled_decoding is None:
        return "decoded whole"
    return f"decoded at a reduced scale, of which at least {manifest.scaled_decoding:g} times the first resize remains"


def _evidence(manifest: Manifest) -> str:
    if manifest.evidence is None:
        return "none"
    height, width = manifest.evidence.height, manifest.evidence.width
    return f"{height} x {width} places, whose contributions add up to the log-odds of AI"


def _table(*rows: tuple[str, str]) -> str:
    return "\n".join(("| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)))


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_flat(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(_flat(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _points(points: Mapping[str, Mapping[str, Any]]) -> str:
    """Thresholds, each with its rates on the photos that it was fitted on, where these are known."""
    rates = ("false_positive_rate", "true_positive_rate", "uncertain")
    rows = [
        (name, point["real_below"], point["ai_from"], condition, *(measured.get(rate) for rate in rates))
        for name, point in points.items()
        for condition, measured in point.get("measured", {None: {}}).items()
    ]
    return table(("point", "real below", "AI from", "fitted on", "real called AI", "AI called AI", "uncertain"), rows)

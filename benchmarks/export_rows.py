"""The rows of docs/export.md's table: how they are recorded, and how they are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .page import table

PRECISIONS = ("fp32", "fp16", "int8")
_VERSIONS = (
    "torch",
    "transformers",
    "optimum-onnx",
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "onnxslim",
    "onnxruntime",
)
_HEADER = (
    *("source", "framework", "precision", "exporter", "gate", "photos", "max abs. Δp", "labels equal"),
    *("AUC falls by", "MB", "latency to fp32", "nodes in float"),
)
Key = tuple[str, str]  # a checkpoint's name, and the precision


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why there is no file.

    Attributes:
        problem: Text of the row.
        exporter: Name of the exporter; empty where none wrote a graph.
        versions: Versions of packages, by name.
    """

    problem: str
    exporter: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        """Return the row's cells from the exporter on."""
        return self.exporter, self.problem


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What `aiface-export` measured of one precision.

    Attributes:
        exporter: Name of the exporter that wrote the graph.
        versions: Versions of packages, by name.
        images: Number of photos that answers were compared on.
        max_difference: Largest absolute difference of a probability to the original's.
        label_agreement: Share of photos with the original's label, 0 to 1.
        auc_fall: AUC in fp32 less AUC in this precision.
        passed: Whether the gate let it through.
        chosen: Whether `--precision auto` chose it.
        size: Size of the file, in bytes.
        latency_ratio: Median latency relative to fp32, on one thread.
        in_float: Number of nodes that stay in float.
    """

    exporter: str
    versions: Mapping[str, str]
    images: int
    max_difference: float
    label_agreement: float
    auc_fall: float
    passed: bool
    chosen: bool
    size: int
    latency_ratio: float
    in_float: int

    def cells(self) -> tuple[str, ...]:
        """Return the row's cells from the exporter on."""
        return (
            self.exporter,
            ("passed" if self.passed else "FAILED") + (", kept by auto" if self.chosen else ""),
            str(self.images),
            f"{self.max_difference:.1e}",
            f"{self.label_agreement:.1%}",
            f"{self.auc_fall:+.4f}",
            f"{self.size / 1e6:.1f}",
            f"{self.latency_ratio:.2f}",
            str(self.in_float or ""),
        )


@dataclass(frozen=True)
class Row:
    """A checkpoint in one precision.

    Attributes:
        name: Name of the checkpoint, as the table shows it.
        framework: Framework that made the checkpoint.
        precision: Precision of the file, one of `PRECISIONS`.
        outcome: Measurements of the export, or its problem.
    """

    name: str
    framework: str
    precision: str
    outcome: Problem | Proof

    @property
    def key(self) -> Key:
        """What there is one row of."""
        return self.name, self.precision

    def to_json(self) -> dict[str, Any]:
        """Return the flat record that `from_json` reads."""
        return {"name": self.name, "framework": self.framework, "precision": self.precision} | asdict(self.outcome)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Row:
        """Read a recorded row."""
        outcome = {name: value for name, value in record.items() if name not in ("name", "framework", "precision")}
        kind = Problem if "problem" in outcome else Proof
        return cls(record["name"], record["framework"], record["precision"], kind(**outcome))


def read(file: Path) -> dict[Key, Row]:
    """Read the rows recorded in a JSON lines file; none where there is no file."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rows = [Row.from_json(json.loads(line)) for line in lines]
    return {row.key: row for row in rows}


def document(rows: Sequence[Row], command: str) -> str:
    """Return the part of docs/export.md between the marks: the command, versions and the table."""
    used: dict[str, set[str]] = {}
    for row in rows:
        for package, version in row.outcome.versions.items():
            used.setdefault(package, set()).add(version)
    versions = ", ".join(f"{name} {' and '.join(sorted(used[name]))}" for name in _VERSIONS if name in used)
    cells = [(row.name, row.framework, row.precision, *row.outcome.cells()) for row in rows]
    return f"Made by `{command}`, with {versions}; latency on one thread.\n\n{table(_HEADER, cells)}\n"

"""The manifest of a model file: what the source says, what the conversion made and what was proved."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiface_runtime.manifest import SCHEMA, step_to_json

from .calibrate import Calibration
from .checkpoint_record import CheckpointRecord
from .graph.convert import Conversion
from .graph.evidence import describe
from .options import ExportOptions
from .source import Preprocessing, Source

# Where training recorded nothing: the plain threshold of a two-class softmax, with no uncertain band.
PLAIN_POINTS: Mapping[str, Mapping[str, float]] = {"balanced": {"real_below": 0.5, "ai_from": 0.5}}
_NO_CALIBRATION = {"method": "none"}
_OVERSAMPLING = 2.0  # of the first resize; from there on what libjpeg leaves out is mostly above what the resize keeps
_PACKAGES = (
    *("torch", "transformers", "optimum-onnx", "tensorflow", "keras", "tf2onnx"),
    *("onnx", "onnxslim", "onnxruntime", "numpy"),
)


def build_manifest(
    source: Source, conversion: Conversion, options: ExportOptions, *, name: str, calibration: Calibration | None = None
) -> dict[str, Any]:
    """Describe a converted source, without the proofs that `add_proofs` brings.

    Args:
        source: Classifier that was converted.
        conversion: Graph of the source, in fp32.
        options: Choices of the user.
        name: The model's name, where `options` does not give one.
        calibration: Temperature and operating points fitted for this export; None for the checkpoint's own.

    Returns:
        What `parse_manifest` takes as JSON.
    """
    record = _record(source, calibration)
    return {
        "schema": SCHEMA,
        "name": options.name or name,
        "version": options.model_version,
        "labels": list(source.labels),
        "ai_labels": list(source.ai_labels),
        "input": _input(source.preprocessing, scaled_decoding=options.scaled_decoding),
        "operating_points": record.operating_points or PLAIN_POINTS,
        "evidence": describe(conversion.graph, len(source.labels), source.ai_indices),
        "calibration": record.calibration or _NO_CALIBRATION,
        "evaluation": source.evaluation.without_photos().to_json() if source.evaluation else None,
        "training": dict(record.training) or None,
        "source": asdict(source.origin),
        "export": {
            "exporter": conversion.exporter,
            "trials": conversion.trials,
            "opset": conversion.opset,
            "versions": installed_versions(),
            "command": options.command,
        },
        "licence": record.licence or "as the checkpoint's",
        "limits": record.limits or "Not stated by the checkpoint.",
    }


def add_proofs(manifest: Mapping[str, Any], *, parity: dict[str, Any], precision: dict[str, Any]) -> dict[str, Any]:
    """Give the manifest with what was proved of the file: `parity`, and `precision` as a part of `export`."""
    return {**manifest, "parity": parity, "export": {**manifest["export"], "precision": precision}}


def _record(source: Source, calibration: Calibration | None) -> CheckpointRecord:
    if calibration is None:
        return source.record
    return replace(source.record, calibration=calibration.record, operating_points=calibration.operating_points)


def _input(preprocessing: Preprocessing, *, scaled_decoding: bool) -> dict[str, Any]:
    return {
        "height": preprocessing.height,
        "width": preprocessing.width,
        "channels": "rgb",
        "network_channels": preprocessing.channels,
        "steps": [step_to_json(step) for step in preprocessing.steps],
    } | ({"scaled_decoding": _OVERSAMPLING} if scaled_decoding else {})


def installed_versions() -> dict[str, str]:
    """Give the versions of the packages that take part; one framework is enough to export from, so others may lack."""
    versions = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions

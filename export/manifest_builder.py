"""The manifest of a model file: what the source says, what the conversion made and what was proved."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NotRequired, TypedDict

from aiface_evaluation.records.calibration_record import CalibrationRecord
from aiface_evaluation.records.fitted_points import FittedPoint
from aiface_runtime.manifest import SCHEMA
from aiface_runtime.steps import StepJson, step_to_json

from .calibrate import Calibration
from .checkpoint_record import Channels, CheckpointRecord
from .graph.convert import Conversion
from .graph.evidence import EvidenceJson, describe
from .graph.faces import face_map_size
from .options import ExportOptions
from .source import Preprocessing, Source

# Where training recorded nothing: the plain threshold of a two-class softmax, with no uncertain band.
PLAIN_POINTS: Mapping[str, FittedPoint] = {"balanced": FittedPoint(real_below=0.5, ai_from=0.5)}
_NO_CALIBRATION = CalibrationRecord(method="none")
_OVERSAMPLING = 2.0  # of the first resize; from there on what libjpeg leaves out is mostly above what the resize keeps
_PACKAGES = (
    *("torch", "transformers", "optimum-onnx", "tensorflow", "keras", "tf2onnx"),
    *("onnx", "onnxslim", "onnxruntime", "numpy"),
)


class InputDocument(TypedDict):
    """`input` of a manifest: what the graph takes, and what leads there; the network's own channels for the record."""

    height: int
    width: int
    channels: str
    network_channels: Channels
    steps: list[StepJson]
    scaled_decoding: NotRequired[float]


class ConversionDocument(TypedDict):
    """`export` of a manifest, before a precision was chosen: how the graph was made."""

    exporter: str
    trials: Mapping[str, Mapping[str, object]]
    opset: int
    versions: Mapping[str, str]
    command: str


class ExportDocument(ConversionDocument):
    """`export` of a manifest, with what `PrecisionReport.to_json` gives."""

    precision: Mapping[str, Any]


class _Common(TypedDict):
    schema: int
    name: str
    version: str
    labels: list[str]
    ai_labels: list[str]
    input: InputDocument
    operating_points: Mapping[str, Mapping[str, Any]]
    evidence: EvidenceJson | None
    faces: Mapping[str, Any] | None
    calibration: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None
    training: Mapping[str, Any] | None
    source: Mapping[str, Any]
    assumptions: NotRequired[Mapping[str, str]]
    licence: str
    limits: str


class ManifestDocument(_Common):
    """What `parse_manifest` takes as JSON, before anything was proved."""

    export: ConversionDocument


class ProvedDocument(_Common):
    """The same with what was proved; `parity` is of `Parity.to_json`."""

    export: ExportDocument
    parity: Mapping[str, Any]


def build_manifest(
    source: Source, conversion: Conversion, options: ExportOptions, *, name: str, calibration: Calibration | None = None
) -> ManifestDocument:
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
    points = record.operating_points or PLAIN_POINTS
    document: ManifestDocument = {
        "schema": SCHEMA,
        "name": options.name or name,
        "version": options.model_version,
        "labels": list(source.labels),
        "ai_labels": list(source.ai_labels),
        "input": _input(source.preprocessing, scaled_decoding=options.scaled_decoding),
        "operating_points": {name: point.to_json() for name, point in points.items()},
        "evidence": describe(conversion.graph, len(source.labels), source.ai_indices),
        "faces": _faces(conversion, record),
        "calibration": (record.calibration or _NO_CALIBRATION).to_json(),
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
    if source.assumptions:
        document["assumptions"] = source.assumptions
    return document


def add_proofs(
    manifest: ManifestDocument, *, parity: Mapping[str, Any], precision: Mapping[str, Any]
) -> ProvedDocument:
    """Give the manifest with what was proved of the file: `parity`, and `precision` as a part of `export`."""
    return {**manifest, "parity": parity, "export": {**manifest["export"], "precision": precision}}


def _record(source: Source, calibration: Calibration | None) -> CheckpointRecord:
    if calibration is None:
        return source.record
    return replace(source.record, calibration=calibration.record, operating_points=calibration.operating_points)


def _faces(conversion: Conversion, record: CheckpointRecord) -> dict[str, Any] | None:
    """Give the size of the face map with its thresholds; None without one."""
    size = face_map_size(conversion.graph)
    return {"height": size[0], "width": size[1], **record.faces.to_json()} if size and record.faces else None


def _input(preprocessing: Preprocessing, *, scaled_decoding: bool) -> InputDocument:
    document: InputDocument = {
        "height": preprocessing.height,
        "width": preprocessing.width,
        "channels": "rgb",
        "network_channels": preprocessing.channels,
        "steps": [step_to_json(step) for step in preprocessing.steps],
    }
    if scaled_decoding:
        document["scaled_decoding"] = _OVERSAMPLING
    return document


def installed_versions() -> dict[str, str]:
    """Give the versions of the packages that take part; one framework is enough to export from, so others may lack."""
    versions = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions

"""Checkpoint folder → one self-describing `.onnx`, written only when it is proved."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx

from aiface_runtime import AifaceError, __version__
from aiface_runtime.manifest import KEY, SCHEMA, parse_manifest, step_to_json

from .convert import Conversion, convert
from .errors import ExportError, ParityError
from .parity import Parity, check, compare, proof_photos
from .source import Source

# Where training recorded nothing: the plain threshold of a two-class softmax, with no uncertain band.
_PLAIN_POINTS = {"balanced": {"real_below": 0.5, "ai_from": 0.5}}
_NO_CALIBRATION = {"method": "none"}
_FRAMEWORKS = ("torch", "transformers", "optimum-onnx", "tensorflow", "keras", "tf2onnx")


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Attributes:
        file: The written file.
        size: Of the file, in bytes.
        parity: The proof.
        exporter: Which exporter made the graph.
    """

    file: Path
    size: int
    parity: Parity
    exporter: str


def export(
    source: Source,
    file: Path,
    *,
    images: Path | None = None,
    name: str | None = None,
    model_version: str = "1",
    command: str = "",
    progress: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Convert, prove and write.

    Args:
        source: What to convert.
        file: The `.onnx` to write; replaced only when everything succeeded.
        images: Folder of real photos for the proof; None for cuts of a portrait that matplotlib ships.
        name: The model's name; None for the file's.
        model_version: The model's own version.
        command: What the user typed, for the record.
        progress: Called with a line before each long step.

    Raises:
        ExportError: One of its leaves; nothing was written.
    """
    if file.suffix != ".onnx":
        raise ExportError(f"{file}: the output must end in .onnx")
    photos_are, photos = proof_photos(images)
    progress(f"converting {source.record['architecture']} by {' and '.join(source.exporters())} (it may take minutes)")
    conversion = convert(source)
    document = _document(source, conversion) | {"name": name or file.stem, "version": model_version}
    document["export"]["command"] = command
    progress(f"proving parity on {len(photos)} photos ({photos_are})")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, so that the last step is a rename: a reader never sees half a file.
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".aiface-export-") as folder:
            draft = Path(folder) / file.name
            _write(conversion.graph, document, draft)
            parity = compare(source, draft, photos)
            check(parity, source.place)
            _write(conversion.graph, document | {"parity": parity.to_json(photos_are)}, draft)
            draft.replace(file)
    except AifaceError as error:  # before OSError: some are both
        raise ParityError(f"{source.place}: the runtime cannot use the converted graph ({error})") from error
    except OSError as error:
        raise ExportError(f"{file}: cannot be written ({error.strerror or error}); nothing was kept") from error
    return Exported(file, file.stat().st_size, parity, conversion.exporter)


def _write(graph: onnx.ModelProto, document: dict[str, Any], file: Path) -> None:
    del graph.metadata_props[:]
    parse_manifest(json.dumps(document), file.name)  # what the runtime would refuse is not written
    onnx.helper.set_model_props(graph, {KEY: json.dumps(document, sort_keys=True)})
    graph.doc_string = f"{document['name']} {document['version']}: real or AI-generated face; see metadata '{KEY}'"
    graph.producer_name, graph.producer_version = "aiface-export", __version__
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, file)


def _document(source: Source, conversion: Conversion) -> dict[str, Any]:
    training = source.notes.get("aiface", {})
    return {
        "schema": SCHEMA,
        "labels": list(source.labels),
        "ai_labels": list(source.ai_labels),
        "input": {
            "height": source.preparation.height,
            "width": source.preparation.width,
            "channels": "rgb",
            "network_channels": source.preparation.channels,
            "steps": [step_to_json(step) for step in source.preparation.steps],
        },
        "operating_points": training.get("operating_points", _PLAIN_POINTS),
        "calibration": training.get("calibration", _NO_CALIBRATION),
        "evaluation": source.notes.get("evaluation"),
        "training": training.get("training"),
        "source": dict(source.record),
        "export": {
            "exporter": conversion.exporter,
            "trials": conversion.trials,
            "opset": conversion.opset,
            "versions": _versions(),
        },
        "licence": training.get("licence", "as the checkpoint's"),
        "limits": training.get("limits", "Not stated by the checkpoint."),
    }


def _versions() -> dict[str, str]:
    """Of what takes part; nobody needs every framework to export from one."""
    found = {}
    for package in (*_FRAMEWORKS, "onnx", "onnxslim", "onnxruntime"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found

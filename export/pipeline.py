"""Checkpoint folder → one self-describing `.onnx`, written only when it is proved."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_evaluation.calibration import at_temperature
from aiface_evaluation.errors import DataError
from aiface_runtime import AifaceError, __version__
from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.manifest import KEY, SCHEMA, parse_manifest, step_to_json
from aiface_runtime.preprocess import preprocess

from .calibrate import Calibration, calibrate
from .errors import ExportError, ParityError, PrecisionError
from .graph.convert import Conversion, convert
from .graph.evidence import describe
from .source import Source
from .verify.parity import VARIANT_BATCH_TOLERANCE, Parity, check, check_itself, compare
from .verify.photos import Photos, read_photos
from .verify.precision import LEAST_AGREEMENT, Choice, Precision, VariantEvaluator, choose

# Where training recorded nothing: the plain threshold of a two-class softmax, with no uncertain band.
_PLAIN_POINTS = {"balanced": {"real_below": 0.5, "ai_from": 0.5}}
_NO_CALIBRATION = {"method": "none"}
_FRAMEWORKS = ("torch", "transformers", "optimum-onnx", "tensorflow", "keras", "tf2onnx")
_HELD_OUT, _HELD_OUT_FROM_VARIANTS = 64, 256  # photos: to see that one in a hundred changes takes more of them
_OVERSAMPLING = 2.0  # of the first resize; from there on what libjpeg leaves out is mostly above what the resize keeps
_CALIBRATING, _LEAST_CALIBRATING = 32, 8


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Attributes:
        file: The written file.
        size: Of the file, in bytes.
        parity: The proof, of the graph in fp32.
        document: The file's manifest.
    """

    file: Path
    size: int
    parity: Parity
    document: dict[str, Any]

    def report(self) -> dict[str, Any]:
        """What was measured, for `--report`."""
        made = self.document["export"]
        return {
            "file": self.file.name,
            "size": self.size,
            "precision": made["precision"],
            "parity": self.document["parity"],
            "calibration": self.document["calibration"],
            "operating_points": self.document["operating_points"],
            "exporter": made["exporter"],
            "versions": made["versions"],
            "command": made["command"],
        }


def export(
    source: Source,
    file: Path,
    *,
    images: Path | None = None,
    name: str | None = None,
    model_version: str = "1",
    precision: Precision = "fp32",
    calibrate_on: Path | None = None,
    scaled_decoding: bool = False,
    command: str = "",
    progress: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Convert, prove and write.

    Args:
        source: What to convert.
        file: The `.onnx` to write; replaced only when everything succeeded.
        images: Real photos for the proof, and to make an int8 variant with: what `read_samples` takes or any folder;
            None for cuts of a portrait that matplotlib ships.
        name: The model's name; None for the file's.
        model_version: The model's own version.
        precision: Of the file; `auto` for the fastest on this machine that loses next to nothing.
        calibrate_on: Labelled photos to fit temperature and operating points on, in place of the checkpoint's.
        scaled_decoding: Let the runtime decode large JPEGs at a reduced scale: much faster, answers move a little.
        command: What the user typed, for the record.
        progress: Called with a line before each long step.

    Raises:
        ExportError: One of its leaves; nothing was written.
    """
    if file.suffix != ".onnx":
        raise ExportError(f"{file}: the output must end in .onnx")
    if scaled_decoding and getattr(source.preprocessing.steps[0], "filter", None) in (None, "bilinear_no_antialias"):
        raise ExportError(
            f"{source.name}: --scaled-decoding: its photos are not first resized by a filter that averages"
        )
    photos = _photos(images, precision)
    if calibrate_on:
        progress(f"calibrating on {calibrate_on}")
    calibration = calibrate(source, calibrate_on) if calibrate_on else None
    temperature = calibration.temperature if calibration else 1.0
    progress(f"converting {source.origin.architecture} by {' and '.join(source.exporters())} (it may take minutes)")
    conversion = convert(source, temperature)
    document = _document(source, conversion, calibration) | {"name": name or file.stem, "version": model_version}
    document["export"]["command"] = command
    if scaled_decoding:
        document["input"]["scaled_decoding"] = _OVERSAMPLING
    progress(f"proving parity on {len(photos.held_out)} photos ({photos.are})")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, so that the last step is a rename: a reader never sees half a file.
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".aiface-export-") as folder:
            draft = Path(folder) / file.name
            original = at_temperature(source.probabilities(photos.held_out), temperature)
            _write(conversion.graph, document, draft)
            parity = compare(draft, photos.held_out, original, source.reference)
            check(parity, source.name)
            document["parity"] = parity.to_json(photos.are)
            choice = _choose(precision, conversion, source, photos, original, progress=progress)
            document["export"]["precision"] = choice.report
            _write(choice.graph, document, draft)
            if choice.precision != "fp32":
                written = compare(draft, photos.held_out, original, source.reference)
                _check_variant(written, choice, source.name)
                choice.report["candidates"][choice.precision]["batch_difference"] = written.batch_difference
                _write(choice.graph, document, draft)
            draft.replace(file)
    except AifaceError as error:  # before OSError: some are both
        raise ParityError(f"{source.name}: the runtime cannot use the converted graph ({error})") from error
    except OSError as error:
        raise ExportError(f"{file}: cannot be written ({error.strerror or error}); nothing was kept") from error
    return Exported(file, file.stat().st_size, parity, document)


def _photos(images: Path | None, precision: Precision) -> Photos:
    fits = precision in ("int8", "auto")
    held_out = _HELD_OUT if precision == "fp32" else _HELD_OUT_FROM_VARIANTS
    photos = read_photos(images, held_out, _CALIBRATING if fits else 0)
    if fits and images is None:
        raise DataError(f"--precision {precision} needs --images: photos like those that the model will judge")
    if fits and len(photos.calibrating) < _LEAST_CALIBRATING:
        raise DataError(
            f"{images}: {len(photos.calibrating)} photos to calibrate int8 on, at least {_LEAST_CALIBRATING} are "
            f"needed; give {3 * _LEAST_CALIBRATING} photos or more"
        )
    return photos


def _choose(
    precision: Precision,
    conversion: Conversion,
    source: Source,
    photos: Photos,
    original: NDArray[np.float64],
    *,
    progress: Callable[[str], None],
) -> Choice:
    def prepared(images: Sequence[ImageInput]) -> NDArray[np.uint8]:
        sides = (source.preprocessing.height, source.preprocessing.width)
        rows = [preprocess(load_rgb(image), source.preprocessing.steps) for image in images]
        return np.stack(rows) if rows else np.empty((0, *sides, 3), dtype=np.uint8)

    evaluator = VariantEvaluator(
        prepared(photos.held_out), original, source.ai_indices, photos.targets, photos.unlabelled
    )
    choice = choose(precision, conversion.graph, evaluator, prepared(photos.calibrating), progress)
    return replace(choice, report=choice.report | {"held_out": photos.are})


def _check_variant(written: Parity, choice: Choice, place: str) -> None:
    """Once more, of the written file through the runtime."""
    check_itself(written, place, VARIANT_BATCH_TOLERANCE)
    if not written.agreement >= LEAST_AGREEMENT:
        raise PrecisionError(
            f"{place}: the runtime's answers of the {choice.precision} file keep only {written.agreement:.1%} of the "
            "labels; nothing was written"
        )


def _write(graph: onnx.ModelProto, document: dict[str, Any], file: Path) -> None:
    del graph.metadata_props[:]
    parse_manifest(json.dumps(document), file.name)  # what the runtime would refuse is not written
    onnx.helper.set_model_props(graph, {KEY: json.dumps(document, sort_keys=True)})
    graph.doc_string = f"{document['name']} {document['version']}: real or AI-generated face; see metadata '{KEY}'"
    graph.producer_name, graph.producer_version = "aiface-export", __version__
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, file)


def _document(source: Source, conversion: Conversion, calibration: Calibration | None) -> dict[str, Any]:
    record = source.record
    if calibration:
        record = replace(record, calibration=calibration.record, operating_points=calibration.operating_points)
    return {
        "schema": SCHEMA,
        "labels": list(source.labels),
        "ai_labels": list(source.ai_labels),
        "input": {
            "height": source.preprocessing.height,
            "width": source.preprocessing.width,
            "channels": "rgb",
            "network_channels": source.preprocessing.channels,
            "steps": [step_to_json(step) for step in source.preprocessing.steps],
        },
        "operating_points": record.operating_points or _PLAIN_POINTS,
        "evidence": describe(conversion.graph, len(source.labels), source.ai_indices),
        "calibration": record.calibration or _NO_CALIBRATION,
        "evaluation": source.evaluation.without_photos().to_json() if source.evaluation else None,
        "training": dict(record.training) or None,
        "source": asdict(source.origin),
        "export": {
            "exporter": conversion.exporter,
            "trials": conversion.trials,
            "opset": conversion.opset,
            "versions": _versions(),
        },
        "licence": record.licence or "as the checkpoint's",
        "limits": record.limits or "Not stated by the checkpoint.",
    }


def _versions() -> dict[str, str]:
    """Of what takes part; nobody needs every framework to export from one."""
    found = {}
    for package in (*_FRAMEWORKS, "onnx", "onnxslim", "onnxruntime", "numpy"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found

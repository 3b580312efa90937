"""Checkpoint → one self-describing `.onnx`, written once and only when it is proved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_evaluation.calibration import at_temperature
from aiface_evaluation.errors import DataError
from aiface_evaluation.write_model import write_model
from aiface_runtime import AifaceError
from aiface_runtime.files import atomic_write
from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.preprocess import preprocess

from .calibrate import calibrate
from .errors import ExportError, ParityError, PrecisionError
from .folders import writable_folder
from .graph.convert import convert
from .manifest_builder import ManifestDocument, ProvedDocument, add_proofs, build_manifest
from .options import PRODUCER, ExportOptions, Precision
from .source import Preprocessing, Source
from .verify.evaluator import VariantEvaluator
from .verify.parity import VARIANT_BATCH_TOLERANCE, Original, Parity, check_consistency, check_parity, verify
from .verify.photos import Photos, read_photos
from .verify.precision import Choice, choose, keep
from .verify.precision_report import MIN_AGREEMENT, PrecisionReport

_HELD_OUT, _HELD_OUT_FROM_VARIANTS = 64, 256  # photos: to see that one in a hundred changes takes more of them
_CALIBRATING, _MIN_CALIBRATING = 32, 8  # photos, for int8
_ROUNDING = 48  # photos, for weights in 6 or 4 bits

_Progress: TypeAlias = Callable[[str], None]


class ExportReport(TypedDict):
    """What `--report` writes: parts of the manifest, by the same names, and the file's name and size in bytes."""

    file: str
    size: int
    precision: Mapping[str, Any]
    parity: Mapping[str, Any]
    calibration: Mapping[str, Any]
    operating_points: Mapping[str, Mapping[str, Any]]
    exporter: str
    versions: Mapping[str, str]
    command: str


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        file: The written file.
        size: Size of the file, in bytes.
        parity: Proof of the graph in fp32.
        precision: Report on the choice of its precision.
        manifest: The file's manifest.
    """

    file: Path
    size: int
    parity: Parity
    precision: PrecisionReport
    manifest: ProvedDocument

    def report(self) -> ExportReport:
        """Give what was measured, for `--report`."""
        export_record = self.manifest["export"]
        return {
            "file": self.file.name,
            "size": self.size,
            "precision": export_record["precision"],
            "parity": self.manifest["parity"],
            "calibration": self.manifest["calibration"],
            "operating_points": self.manifest["operating_points"],
            "exporter": export_record["exporter"],
            "versions": export_record["versions"],
            "command": export_record["command"],
        }


def export(
    source: Source,
    file: Path,
    options: ExportOptions = ExportOptions(),  # noqa: B008 frozen
    progress: _Progress = lambda _: None,
) -> Exported:
    """Convert, prove and write.

    Args:
        source: Classifier to convert.
        file: The `.onnx` to write; replaced only when everything succeeded.
        options: Choices of the user.
        progress: Called with a line before each long step.

    Raises:
        ExportError: The source cannot be exported, by a subclass of it; nothing was written.
        DataError: The photos to calibrate on, or their labels, cannot be used; nothing was written.
    """
    check_request(source, file, options)
    try:
        with writable_folder(file.parent):
            return _export(source, file, options, progress)
    except AifaceError:  # before OSError: some are both
        raise
    except OSError as error:
        raise ExportError(f"{file}: cannot be written ({error.strerror or error}); nothing was kept") from error


def _export(source: Source, file: Path, options: ExportOptions, progress: _Progress) -> Exported:
    photos = _read_photos(options)
    if options.calibrate_on:
        progress(f"calibrating on {options.calibrate_on}")
    calibration = calibrate(source, options.calibrate_on) if options.calibrate_on else None
    temperature = calibration.temperature if calibration else 1.0
    progress(f"converting {source.origin.architecture} by {' and '.join(source.exporters())} (it may take minutes)")
    conversion = convert(source, temperature)
    manifest = build_manifest(source, conversion, options, name=file.stem, calibration=calibration)
    progress(f"proving parity on {len(photos.held_out)} photos ({photos.description})")
    answers = source.answers(photos.held_out)
    original = Original(
        photos=photos.held_out,
        description=photos.description,
        probabilities=at_temperature(answers.probabilities, temperature),
        reference=source.reference,
        faces=answers.faces,
        precision=source.precision,
    )
    try:
        parity = verify(conversion.graph, manifest, original, file.parent)
        check_parity(parity, source.name)
        choice = _choose(conversion.graph, source, photos, original, options.precision, progress=progress)
        report = _verify_variant(choice, manifest, original, file.parent, source.name)
        proved = add_proofs(manifest, parity=parity.to_json(), precision=report.to_json(photos.description))
        with atomic_write(file) as draft:
            write_model(choice.graph, proved, draft, PRODUCER)
    except AifaceError as error:  # before OSError: some are both
        raise ParityError(f"{source.name}: the runtime cannot use the converted graph ({error})") from error
    return Exported(file, file.stat().st_size, parity, report, proved)


def check_request(source: Source, file: Path, options: ExportOptions) -> None:
    """Refuse what can be refused before the conversion.

    Raises:
        ExportError: The output's name, the precision, `scaled_decoding` or the thresholds of the face head do not fit.
    """
    if file.suffix != ".onnx":
        raise ExportError(f"{file}: the output must end in .onnx")
    if file.is_dir():
        raise ExportError(f"{file}: is a folder; name the file to write")
    if source.precision != "fp32" and options.precision != "fp32":
        raise ExportError(
            f"{source.name}: is in {source.precision} already and stays so; leave out --precision {options.precision}"
        )
    resize_filter = getattr(source.preprocessing.steps[0], "filter", None)
    if options.scaled_decoding and resize_filter in (None, "bilinear_no_antialias"):
        raise ExportError(
            f"{source.name}: --scaled-decoding: its photos are not first resized by a filter that averages"
        )

    _check_faces(source)


def _check_faces(source: Source) -> None:
    if source.has_faces and source.record.faces is None:
        raise ExportError(
            f"{source.name}: its network has a face head without thresholds; put them into its aiface.json as "
            '"faces": {"present_from": …, "cell_from": …, "small_below": …}'
        )
    if source.record.faces and not source.has_faces:
        raise ExportError(
            f'{source.name}: its aiface.json has thresholds of a face head that its network lacks; remove "faces" from '
            "it, or save the network with its face head"
        )


def _read_photos(options: ExportOptions) -> Photos:
    held_out = _HELD_OUT if options.precision == "fp32" else _HELD_OUT_FROM_VARIANTS
    calibrating = _CALIBRATING if options.makes_int8 else _ROUNDING if options.rounds_weights else 0
    photos = read_photos(options.images, held_out, calibrating)
    if options.makes_int8 and options.images is None:
        raise DataError(f"--precision {options.precision} needs --images: photos like those that the model will judge")
    if options.makes_int8 and len(photos.calibrating) < _MIN_CALIBRATING:
        raise DataError(
            f"{options.images}: {len(photos.calibrating)} photos to calibrate int8 on, at least {_MIN_CALIBRATING} are "
            f"needed; give {3 * _MIN_CALIBRATING} photos or more"
        )
    return photos


def _choose(
    graph: onnx.ModelProto,
    source: Source,
    photos: Photos,
    original: Original,
    precision: Precision,
    *,
    progress: _Progress,
) -> Choice:
    pixels = _pixels(photos.held_out, source.preprocessing)
    reason = photos.unlabelled_reason
    evaluator = VariantEvaluator(
        pixels,
        original.probabilities,
        source.ai_indices,
        photos.targets,
        reason,
        original.faces,
        source.record.faces.present_from if source.record.faces else 0.0,
    )
    if source.precision != "fp32":
        return keep(source.precision, graph, evaluator)
    calibrating = _pixels(photos.calibrating, source.preprocessing)
    return choose(precision, graph, evaluator, calibrating, progress)


def _pixels(images: Sequence[ImageInput], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Prepare photos for the graph: uint8 `[N, height, width, 3]`, N from 0 on."""
    rows = [preprocess(load_rgb(image), preprocessing.steps) for image in images]
    return np.stack(rows) if rows else np.empty((0, preprocessing.height, preprocessing.width, 3), dtype=np.uint8)


def _verify_variant(
    choice: Choice, manifest: ManifestDocument, original: Original, folder: Path, name: str
) -> PrecisionReport:
    """Measure a variant once more, as a file through the runtime; fp32 was proved already.

    Raises:
        ParityError: The variant's answers depend on the batch, or its evidence does not add up.
        PrecisionError: Too many labels change, or too many faces are found or lost.
    """
    report = choice.report
    if report.chosen == "fp32":
        return report
    parity = verify(choice.graph, manifest, original, folder)
    check_consistency(parity, name, VARIANT_BATCH_TOLERANCE)
    if not parity.label_agreement >= MIN_AGREEMENT:
        raise PrecisionError(
            f"{name}: the runtime's answers of the {report.chosen} file keep only {parity.label_agreement:.1%} of the "
            "labels; nothing was written"
        )
    if parity.face_agreement is not None and not parity.face_agreement >= MIN_AGREEMENT:
        raise PrecisionError(
            f"{name}: the {report.chosen} file finds faces as the original does in only {parity.face_agreement:.1%} of "
            "the photos; nothing was written"
        )
    return report.with_batch_difference(parity.batch_difference)

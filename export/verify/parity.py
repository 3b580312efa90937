"""Proof that a file gives the original's answers, on real photos, through the runtime itself."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_evaluation.types import Scores
from aiface_evaluation.write_model import write_model
from aiface_runtime import Classifier
from aiface_runtime.engine import Engine
from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.preprocess import preprocess

from ..errors import ParityError
from ..graph.evidence import margin_weights
from ..options import PRODUCER, WrittenPrecision

TOLERANCE = 1e-4  # on each probability
FACES_TOLERANCE = 1e-3  # on a cell's: many of each photo, by a head that turns steeply
BATCH_SIZES = (1, 2, 7)  # none of them is known to an exporter
BATCH_TOLERANCE = 1e-5  # on each probability of the same photo in another batch
VARIANT_BATCH_TOLERANCE = 1e-3  # the same in fp16, whose numbers are 5e-4 apart: sums in another order round otherwise
EVIDENCE_TOLERANCE = 1e-4  # on the log-odds that the evidence makes, in units of the largest contribution, at least 1
# Of a network that came in fewer bits: its sums are rounded to those, and a pixel that is rounded the other way moves a
# level. What is wrong is off by more.
_OWN_TOLERANCES: Mapping[WrittenPrecision, float] = {"fp16": 5e-3, "int8": 1e-2}
_PHOTOS_IN_BATCHES = 14  # full batches of each size
_MAX_EXPLAINED = 16  # photos
_MIN_PROBABILITY = 1e-30  # float32 has no exact numbers below


@dataclass(frozen=True, kw_only=True)
class Original:
    """The original's answers, which a file is compared with.

    Attributes:
        photos: N photos, from 1 on.
        description: Description of the photos, for the record.
        probabilities: float64 `[N, C]`, its answers.
        reference: Framework that computed them, and its version.
        faces: float32 `[N, h, w]`, its face maps, 0 to 1; None of a network without face head.
        precision: Precision that the original computes in.
    """

    photos: Sequence[ImageInput]
    description: str
    probabilities: Scores
    reference: str
    faces: NDArray[np.float32] | None = None
    precision: WrittenPrecision = "fp32"

    @property
    def tolerance(self) -> float:
        """How far a probability of a faithful file may be off."""
        return _OWN_TOLERANCES.get(self.precision, TOLERANCE)

    @property
    def batch_tolerance(self) -> float:
        """How far a probability may depend on the batch."""
        return VARIANT_BATCH_TOLERANCE if self.precision in _OWN_TOLERANCES else BATCH_TOLERANCE


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far a file's answers are from the original's.

    Attributes:
        reference: Framework that the original computed with, and its version.
        photos: Description of the photos.
        images: Number of photos compared.
        max_difference: Largest difference of any probability.
        mean_difference: Mean over photos and labels.
        label_agreement: Share of photos with the same likeliest label, 0 to 1.
        batch_difference: Largest difference of any probability between batches of `BATCH_SIZES`.
        evidence_difference: Largest difference between the log-odds and what the evidence adds up to, in units of the
            photo's largest contribution, at least 1; None where the file gives no evidence.
        faces_difference: Largest difference of any cell's probability of a face; None without face map.
        face_agreement: Share of photos of which both say that there is a face, or that there is none, 0 to 1; None
            without face map.
        tolerance: Tolerance on `max_difference`.
        batch_tolerance: Tolerance on `batch_difference`.
    """

    reference: str
    photos: str
    images: int
    max_difference: float
    mean_difference: float
    label_agreement: float
    batch_difference: float
    evidence_difference: float | None = None
    faces_difference: float | None = None
    face_agreement: float | None = None
    tolerance: float = TOLERANCE
    batch_tolerance: float = BATCH_TOLERANCE

    def to_json(self) -> dict[str, Any]:
        """Give `parity` as the manifest has it."""
        evidence = {"evidence_difference": self.evidence_difference, "evidence_tolerance": EVIDENCE_TOLERANCE}
        faces = {
            "faces_difference": self.faces_difference,
            "faces_tolerance": FACES_TOLERANCE,
            "face_agreement": self.face_agreement,
        }
        document: dict[str, Any] = {
            "reference": self.reference,
            "photos": self.photos,
            "images": self.images,
            "max_difference": self.max_difference,
            "mean_difference": self.mean_difference,
            "label_agreement": self.label_agreement,
            "tolerance": self.tolerance,
            "batch_sizes": list(BATCH_SIZES),
            "batch_difference": self.batch_difference,
            "batch_tolerance": self.batch_tolerance,
        }
        document |= {} if self.evidence_difference is None else evidence
        return document | ({} if self.faces_difference is None else faces)


def verify(graph: onnx.ModelProto, manifest: Mapping[str, Any], original: Original, folder: Path) -> Parity:
    """Write a graph to a temporary file and compare that, through the runtime, with the original.

    Args:
        graph: Graph by `assemble`, or a variant of one.
        manifest: Manifest by `build_manifest`.
        original: Answers that are expected.
        folder: Folder for the temporary file: the output's, so that a full disk shows here.

    Raises:
        AifaceError: The runtime cannot use the file.
        OSError: The file cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".aiface-verify-") as temporary:
        file = Path(temporary) / "model.onnx"
        write_model(graph, manifest, file, PRODUCER)
        return compare(file, original)


def compare(file: Path, original: Original) -> Parity:
    """Compare a file, through the runtime, with the original on the same photos."""
    with Classifier(file, device="cpu") as classifier:
        actual = _probabilities(classifier, original.photos, max(BATCH_SIZES))
        repeated = list(islice(cycle(original.photos), _PHOTOS_IN_BATCHES))
        by_batch_size = np.stack([_probabilities(classifier, repeated, size) for size in BATCH_SIZES])
        evidence_difference = (
            _evidence_difference(classifier, original.photos) if classifier.manifest.evidence else None
        )
    faces_difference, face_agreement = _compare_faces(file, original)
    difference = np.abs(actual - original.probabilities)
    return Parity(
        reference=original.reference,
        photos=original.description,
        images=len(original.photos),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        label_agreement=float((actual.argmax(1) == original.probabilities.argmax(1)).mean()),
        batch_difference=float(np.ptp(by_batch_size, axis=0).max()),
        evidence_difference=evidence_difference,
        faces_difference=faces_difference,
        face_agreement=face_agreement,
        tolerance=original.tolerance,
        batch_tolerance=original.batch_tolerance,
    )


def _probabilities(classifier: Classifier, photos: Sequence[ImageInput], batch_size: int) -> NDArray[np.float64]:
    """Give a file's probabilities, float64 `[N, C]`, of photos decoded at full size like the original's."""
    decoded = (load_rgb(photo) for photo in photos)
    predictions = classifier.predict_many(decoded, batch_size=batch_size, on_error="raise")
    return np.array([list(prediction.scores.values()) for prediction in predictions], dtype=np.float64)


def _compare_faces(file: Path, original: Original) -> tuple[float | None, float | None]:
    """Give the largest difference of a cell, and the share of photos of which both say the same of a face."""
    if original.faces is None or (engine := Engine(file, "cpu")).manifest.faces is None:
        return None, None
    pixels = [preprocess(load_rgb(photo), engine.manifest.steps) for photo in original.photos]
    starts, size = range(0, len(pixels), max(BATCH_SIZES)), max(BATCH_SIZES)
    actual = np.concatenate([engine.run(np.stack(pixels[start : start + size])).faces for start in starts])
    present_from = engine.manifest.faces.present_from
    agrees = has_face(actual, present_from) == has_face(original.faces, present_from)
    return float(np.abs(actual - original.faces).max()), float(agrees.mean())


def has_face(faces: NDArray[np.floating], present_from: float) -> NDArray[np.bool_]:
    """Say of face maps `[N, h, w]` whether there is a face, bool `[N]`, as the runtime does."""
    present: NDArray[np.bool_] = faces.max(axis=(1, 2)) >= present_from
    return present


def _evidence_difference(classifier: Classifier, photos: Sequence[ImageInput]) -> float:
    """Give the largest gap between the log-odds and the evidence's sum; 0 where no answer leaves float32 log-odds."""
    labels, ai_labels = classifier.manifest.labels, classifier.manifest.ai_labels
    margin = margin_weights(len(labels), [labels.index(label) for label in ai_labels])
    differences: list[float] = []
    for photo in photos[:: -(-len(photos) // _MAX_EXPLAINED)]:
        explanation = classifier.explain(load_rgb(photo))
        scores = np.array(list(explanation.prediction.scores.values()))
        if scores.min() >= _MIN_PROBABILITY:
            evidence = explanation.evidence.astype(np.float64)
            difference = abs(evidence.mean() + explanation.bias - margin @ np.log(scores))
            differences.append(difference / max(1.0, np.abs(evidence).max()))
    return float(np.max(differences, initial=0.0))  # NaN stays NaN


def check_parity(parity: Parity, name: str) -> None:
    """Hold a comparison to the contract.

    Raises:
        ParityError: A probability differs by more than the tolerance, a label differs, a photo's answer depends on the
            batch that it comes in, its evidence does not add up to it, or its face map differs.
    """
    # not (… <= …) so that NaN fails too
    labels_hold = parity.label_agreement == 1.0 or parity.tolerance > TOLERANCE  # there a tie may turn
    if not (parity.max_difference <= parity.tolerance and labels_hold):
        raise ParityError(
            f"{name}: the converted graph does not give the original's answers on {parity.images} photos: largest "
            f"difference {parity.max_difference:.2g} (at most {parity.tolerance:g}), labels equal "
            f"{parity.label_agreement:.1%}; nothing was written"
        )
    check_consistency(parity, name, parity.batch_tolerance)
    if parity.faces_difference is not None and not parity.faces_difference <= FACES_TOLERANCE:
        raise ParityError(
            f"{name}: the converted graph does not give the original's face maps on {parity.images} photos: largest "
            f"difference {parity.faces_difference:.2g} (at most {FACES_TOLERANCE:g}); nothing was written"
        )


def check_consistency(parity: Parity, name: str, tolerance: float = BATCH_TOLERANCE) -> None:
    """Hold a file to the part of the contract that a variant in fewer bits must keep too.

    Args:
        parity: Measurements of the file.
        name: Name of the source, for messages.
        tolerance: Largest difference of a photo's answers between batches; `VARIANT_BATCH_TOLERANCE` for a variant.

    Raises:
        ParityError: A photo's answer depends on the batch that it comes in, or its evidence does not add up to it.
    """
    if not parity.batch_difference <= tolerance:
        raise ParityError(
            f"{name}: the converted graph gives the same photos other answers in batches of "
            f"{', '.join(map(str, BATCH_SIZES))}: largest difference {parity.batch_difference:.2g} (at most "
            f"{tolerance:g}); nothing was written"
        )
    if parity.evidence_difference is not None and not parity.evidence_difference <= EVIDENCE_TOLERANCE:
        raise ParityError(
            f"{name}: the evidence does not add up to the answers: largest difference "
            f"{parity.evidence_difference:.2g} of the largest contribution (at most {EVIDENCE_TOLERANCE:g}); nothing "
            "was written"
        )

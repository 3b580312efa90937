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
from aiface_runtime.images import ImageInput, load_rgb

from ..errors import ParityError
from ..graph.evidence import margin_weights
from ..options import PRODUCER

TOLERANCE = 1e-4  # on each probability
BATCH_SIZES = (1, 2, 7)  # none of them is known to an exporter
BATCH_TOLERANCE = 1e-5  # on each probability of the same photo in another batch
VARIANT_BATCH_TOLERANCE = 1e-3  # the same in fp16, whose numbers are 5e-4 apart: sums in another order round otherwise
EVIDENCE_TOLERANCE = 1e-4  # on the log-odds that the evidence makes, in units of the largest contribution, at least 1
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
    """

    photos: Sequence[ImageInput]
    description: str
    probabilities: Scores
    reference: str


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
    """

    reference: str
    photos: str
    images: int
    max_difference: float
    mean_difference: float
    label_agreement: float
    batch_difference: float
    evidence_difference: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Give `parity` as the manifest has it."""
        evidence = {"evidence_difference": self.evidence_difference, "evidence_tolerance": EVIDENCE_TOLERANCE}
        return {
            "reference": self.reference,
            "photos": self.photos,
            "images": self.images,
            "max_difference": self.max_difference,
            "mean_difference": self.mean_difference,
            "label_agreement": self.label_agreement,
            "tolerance": TOLERANCE,
            "batch_sizes": list(BATCH_SIZES),
            "batch_difference": self.batch_difference,
            "batch_tolerance": BATCH_TOLERANCE,
        } | ({} if self.evidence_difference is None else evidence)


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
    )


def _probabilities(classifier: Classifier, photos: Sequence[ImageInput], batch_size: int) -> NDArray[np.float64]:
    """Give a file's probabilities, float64 `[N, C]`, of photos decoded at full size like the original's."""
    decoded = (load_rgb(photo) for photo in photos)
    predictions = classifier.predict_many(decoded, batch_size=batch_size, on_error="raise")
    return np.array([list(prediction.scores.values()) for prediction in predictions], dtype=np.float64)


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
        ParityError: A probability differs by more than `TOLERANCE`, a label differs, a photo's answer depends on the
            batch that it comes in, or its evidence does not add up to it.
    """
    # not (… <= …) so that NaN fails too
    if not (parity.max_difference <= TOLERANCE and parity.label_agreement == 1.0):
        raise ParityError(
            f"{name}: the converted graph does not give the original's answers on {parity.images} photos: largest "
            f"difference {parity.max_difference:.2g} (at most {TOLERANCE:g}), labels equal "
            f"{parity.label_agreement:.1%}; nothing was written"
        )
    check_consistency(parity, name)


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

"""Proof that the written file gives the original's answers, on real photos, through the runtime itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiface_runtime import Classifier
from aiface_runtime.images import ImageInput, load_rgb

from ..errors import ParityError
from ..graph.evidence import margin_weights

TOLERANCE = 1e-4  # on each probability
BATCH_SIZES = (1, 2, 7)  # none of which an exporter was told of
BATCH_TOLERANCE = 1e-5  # on each probability of the same photo in another batch
VARIANT_BATCH_TOLERANCE = 1e-3  # the same in fp16, whose numbers are 5e-4 apart: sums in another order round otherwise
EVIDENCE_TOLERANCE = 1e-4  # on the log-odds that the evidence makes, in units of the largest contribution, at least 1
_PHOTOS_IN_BATCHES = 14  # full batches of each size
_PHOTOS_EXPLAINED = 16
_LEAST_PROBABILITY = 1e-30  # float32 has no room for exact ones below


@dataclass(frozen=True)
class Parity:
    """How far the file's answers are from the original's.

    Attributes:
        reference: What the original computed with.
        images: Photos compared.
        max_difference: Largest difference of any probability.
        mean_difference: Mean over photos and labels.
        agreement: Share of photos with the same likeliest label, 0 to 1.
        batch_difference: Largest difference of any probability between batches of `BATCH_SIZES`.
        evidence_difference: Largest difference between the log-odds and what the evidence adds up to, in units of the
            photo's largest contribution, at least 1; None where the file gives no evidence.
    """

    reference: str
    images: int
    max_difference: float
    mean_difference: float
    agreement: float
    batch_difference: float
    evidence_difference: float | None

    def to_json(self, photos: str) -> dict[str, Any]:
        """As the manifest keeps it; `photos` says what was compared."""
        return {
            "reference": self.reference,
            "photos": photos,
            "images": self.images,
            "max_difference": self.max_difference,
            "mean_difference": self.mean_difference,
            "label_agreement": self.agreement,
            "tolerance": TOLERANCE,
            "batch_sizes": list(BATCH_SIZES),
            "batch_difference": self.batch_difference,
            "batch_tolerance": BATCH_TOLERANCE,
        } | (
            {}
            if self.evidence_difference is None
            else {"evidence_difference": self.evidence_difference, "evidence_tolerance": EVIDENCE_TOLERANCE}
        )


def compare(file: Path, photos: Sequence[ImageInput], expected: NDArray[np.float64], reference: str) -> Parity:
    """Compare the file, through the runtime, with the original on the same photos.

    Args:
        file: The written model.
        photos: Any number from 1 on.
        expected: float64 `[photos, C]`, the original's probabilities.
        reference: What the original computed with.
    """
    with Classifier(file, device="cpu") as classifier:
        actual = answers(classifier, photos, max(BATCH_SIZES))
        some = list(islice(cycle(photos), _PHOTOS_IN_BATCHES))
        rows = np.stack([answers(classifier, some, size) for size in BATCH_SIZES])
        unexplained = _unexplained(classifier, photos) if classifier.manifest.evidence else None
    difference = np.abs(actual - expected)
    return Parity(
        reference=reference,
        images=len(photos),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        agreement=float((actual.argmax(1) == expected.argmax(1)).mean()),
        batch_difference=float(np.ptp(rows, axis=0).max()),
        evidence_difference=unexplained,
    )


def answers(classifier: Classifier, photos: Sequence[ImageInput], batch_size: int) -> NDArray[np.float64]:
    """A file's probabilities, float64 `[photos, C]`, through the runtime, photos decoded whole like the original's."""
    decoded = (load_rgb(photo) for photo in photos)
    predictions = classifier.predict_many(decoded, batch_size=batch_size, on_error="raise")
    return np.array([list(prediction.scores.values()) for prediction in predictions], dtype=np.float64)


def _unexplained(classifier: Classifier, photos: Sequence[ImageInput]) -> float:
    """How far the evidence is from adding up to the log-odds, at most; 0 where every answer is too sure to have any."""
    labels, ai_labels = classifier.manifest.labels, classifier.manifest.ai_labels
    margin = margin_weights(len(labels), [labels.index(label) for label in ai_labels])
    differences: list[float] = []
    for photo in photos[:: -(-len(photos) // _PHOTOS_EXPLAINED)]:
        explanation = classifier.explain(load_rgb(photo))
        scores = np.array(list(explanation.prediction.scores.values()))
        if scores.min() >= _LEAST_PROBABILITY:
            evidence = explanation.evidence.astype(np.float64)
            difference = abs(evidence.mean() + explanation.bias - margin @ np.log(scores))
            differences.append(difference / max(1.0, np.abs(evidence).max()))
    return float(np.max(differences, initial=0.0))  # NaN stays NaN


def check(parity: Parity, name: str) -> None:
    """Hold a comparison to the contract.

    Raises:
        ParityError: A probability differs by more than `TOLERANCE`, a label differs, a photo's answer depends on the
            batch that it comes in, or its evidence does not add up to it.
    """
    # not (… <= …) so that NaN fails too
    if not (parity.max_difference <= TOLERANCE and parity.agreement == 1.0):
        raise ParityError(
            f"{name}: the converted graph does not give the original's answers on {parity.images} photos: largest "
            f"difference {parity.max_difference:.2g} (at most {TOLERANCE:g}), labels equal {parity.agreement:.1%}; "
            "nothing was written"
        )
    check_itself(parity, name)


def check_itself(parity: Parity, name: str, tolerance: float = BATCH_TOLERANCE) -> None:
    """The part of `check` that a variant in fewer bits must keep too, in batches within `VARIANT_BATCH_TOLERANCE`.

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

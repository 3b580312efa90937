"""How far the answers of a graph's variants are from the original's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from aiface_evaluation.records.json_record import JsonRecord
from aiface_evaluation.types import Scores
from aiface_runtime.cpu_limits import usable_cores
from aiface_runtime.manifest import FACES, IMAGE, PROBABILITIES

from ..graph.session import open_session
from .parity import has_face

_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class VariantMetrics(JsonRecord):
    """How far a graph's answers are from the original's on held-out photos.

    Attributes:
        images: Number of photos.
        max_difference: Largest absolute difference of any probability.
        mean_difference: Mean over photos of each one's largest difference.
        label_agreement: Share of photos with the same likeliest label, 0 to 1.
        auc: Area under the ROC curve of P(AI), 0 to 1; None where labels are not known.
        auc_of_original: Area under the ROC curve of the original's P(AI); None where labels are not known.
        auc_not_measured: Reason why labels are not known; None where they are.
        face_agreement: Share of photos of which both say that there is a face, or that there is none, 0 to 1; None
            without face map.
    """

    images: int
    max_difference: float
    mean_difference: float
    label_agreement: float
    auc: float | None
    auc_of_original: float | None
    auc_not_measured: str | None = None
    face_agreement: float | None = None


@dataclass(frozen=True)
class VariantEvaluator:
    """What variants are measured with.

    Attributes:
        pixels: uint8 `[N, height, width, 3]`, held-out photos.
        original: float64 `[N, C]`, the original's probabilities.
        ai_indices: Columns of the labels that mean AI-generated.
        targets: int `[N]`, 1 for AI; None where labels are not known.
        unlabelled_reason: Reason why labels are not known; empty where they are.
        faces: float32 `[N, h, w]`, the original's face maps, 0 to 1; None of a network without face head.
        present_from: Probability of the likeliest cell from which on there is a face.
    """

    pixels: NDArray[np.uint8]
    original: Scores
    ai_indices: Sequence[int]
    targets: NDArray[np.int_] | None
    unlabelled_reason: str = ""
    faces: NDArray[np.float32] | None = None
    present_from: float = 0.0

    def measure(self, graph: onnx.ModelProto) -> VariantMetrics:
        """Compare a graph's answers to the held-out photos with the original's."""
        if self.faces is None:
            return self.metrics(probabilities_of(graph, self.pixels))
        probabilities, faces = _outputs_of(graph, self.pixels, (PROBABILITIES, FACES))
        agrees = has_face(faces, self.present_from) == has_face(self.faces, self.present_from)
        return replace(self.metrics(probabilities), face_agreement=float(agrees.mean()))

    def metrics(self, probabilities: Scores) -> VariantMetrics:
        """Compare probabilities, float64 `[N, C]`, with the original's; a photo that has one not finite disagrees."""
        valid = np.isfinite(probabilities).all(axis=1)
        probabilities = np.where(np.isfinite(probabilities), probabilities, 0.0)
        difference = np.abs(probabilities - self.original).max(axis=1)
        agrees = valid & (probabilities.argmax(1) == self.original.argmax(1))
        return VariantMetrics(
            images=len(probabilities),
            max_difference=float(difference.max()),
            mean_difference=float(difference.mean()),
            label_agreement=float(agrees.mean()),
            auc=self._auc(probabilities),
            auc_of_original=self._auc(self.original),
            auc_not_measured=self.unlabelled_reason if self.targets is None else None,
        )

    def _auc(self, probabilities: Scores) -> float | None:
        if self.targets is None:
            return None
        return float(roc_auc_score(self.targets, probabilities[:, self.ai_indices].sum(axis=1)))


def mean_error(graph: onnx.ModelProto, pixels: NDArray[np.uint8], expected: Scores) -> float:
    """Give the mean absolute difference of a graph's probabilities from those expected; what is not finite counts 0."""
    return float(np.abs(np.nan_to_num(probabilities_of(graph, pixels)) - expected).mean())


def probabilities_of(graph: onnx.ModelProto, pixels: NDArray[np.uint8]) -> Scores:
    """Run a graph on uint8 `[N, height, width, 3]`: float64 `[N, C]`."""
    return _outputs_of(graph, pixels, (PROBABILITIES,))[0]


def _outputs_of(graph: onnx.ModelProto, pixels: NDArray[np.uint8], names: Sequence[str]) -> list[Scores]:
    """Run a graph on uint8 `[N, height, width, 3]`: float64 `[N, …]` for each name."""
    session = open_session(graph, usable_cores())
    batches = [session.run(names, {IMAGE: pixels[n : n + _BATCH]}) for n in range(0, len(pixels), _BATCH)]
    return [np.concatenate(parts).astype(np.float64) for parts in zip(*batches, strict=True)]

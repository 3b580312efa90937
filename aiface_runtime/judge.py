"""From a network's outputs, and what is known of the photo, to an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .faces import face_answer
from .prediction import PhotoWarning, Prediction, Verdict
from .reasons import Basis

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .engine import Engine
    from .manifest import Manifest
    from .model_input import Findings

MAX_MISSING = 0.1  # share of a photo that may be missing before the verdict is uncertain


class Judge:
    """Makes answers at one operating point.

    Args:
        manifest: Manifest of the model.
        operating_point: Name of the thresholds.

    Raises:
        UsageError: The model has no such operating point.
    """

    def __init__(self, manifest: Manifest, operating_point: str) -> None:
        self._manifest, self._point = manifest, manifest.operating_point(operating_point)
        rules = manifest.reasons.at(operating_point) if manifest.reasons else None
        self._basis = Basis(operating_point, self._point.real_below, self._point.ai_from, rules)

    def prediction(
        self,
        name: str,
        probabilities: NDArray[np.float32],
        faces: NDArray[np.float32] | None,
        engine: Engine,
        findings: Findings,
    ) -> Prediction:
        """Return the answer for one photo.

        Args:
            name: Path, or a short description of what was passed.
            probabilities: float32 `[C]`, of the manifest's labels.
            faces: float32 `[h, w]`, 0 to 1, of a model with a face map.
            engine: Engine that computed them.
            findings: All that is known of the photo otherwise.
        """
        manifest = self._manifest
        scores = dict(zip(manifest.labels, probabilities.tolist(), strict=True))
        p_ai = min(1.0, sum(scores[label] for label in manifest.ai_labels))
        face_probability, face_warnings = face_answer(faces, manifest.faces)
        warnings = face_warnings + findings.warnings
        is_blind = PhotoWarning.NO_FACE in warnings or findings.missing > MAX_MISSING
        return Prediction(
            name,
            Verdict.UNCERTAIN if is_blind else self._verdict(p_ai),
            p_ai,
            scores,
            manifest.id,
            engine.device,
            engine.fallback,
            face_probability,
            warnings,
            findings.provenance,
            self._basis,
        )

    def _verdict(self, p_ai: float) -> Verdict:
        if p_ai >= self._point.ai_from:
            return Verdict.AI
        return Verdict.REAL if p_ai < self._point.real_below else Verdict.UNCERTAIN

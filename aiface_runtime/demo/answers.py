"""From uploads to answers, by the same way as every other caller: `predict_many`, `explain`, `provenance.read`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import provenance
from ..errors import InputError
from ..images import load_rgb, read_once
from ..prediction import Failure, Prediction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..classifier import Classifier
    from ..explanation import Explanation
    from .uploads import Upload


@dataclass(frozen=True, slots=True, eq=False)
class Detail:
    """All that is known of one photo.

    Attributes:
        prediction: Answer, equal to that of `predict` for the file.
        provenance: All that the file itself says.
        photo: uint8 RGB `[H, W, 3]`, upright.
        explanation: Answer with its maps; None of a model that has none.
    """

    prediction: Prediction
    provenance: provenance.Provenance
    photo: NDArray[np.uint8]
    explanation: Explanation | None

    @property
    def error(self) -> None:
        """None: this is an answer. A `Failure` has an error here."""
        return None


def answer_all(classifier: Classifier, uploads: Sequence[Upload]) -> list[Prediction | Failure]:
    """Answer for photos in their order; a bad one is a `Failure`."""
    return list(classifier.predict_many(uploads))


def look_closely(classifier: Classifier, upload: Upload) -> Detail | Failure:
    """Answer for one photo with all that there is to show."""
    limits = classifier.limits
    try:
        source = read_once(upload, limits.bytes)
        found = provenance.read(source, limits)
        if classifier.manifest.evidence is None:
            return Detail(classifier.predict(source), found, load_rgb(source, limits), None)
        explanation = classifier.explain(source)
    except InputError as error:
        return Failure(upload.name, error, classifier.manifest.id, classifier.device)
    return Detail(explanation.prediction, found, explanation.photo, explanation)

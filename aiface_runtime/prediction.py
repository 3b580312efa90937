"""What comes back for one photo: an answer or a failure, both with the same record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from .provenance.results import Provenance, ProvenanceRecord

from .reasons import Basis, sentence


class Verdict(StrEnum):
    """The answer in one word, by the thresholds of the operating point."""

    REAL = "real"
    AI = "ai"
    UNCERTAIN = "uncertain"


class PhotoWarning(StrEnum):
    """What to know of a photo before relying on its answer; later versions may add more.

    Attributes:
        NO_FACE: No face in what the model sees.
        SMALL_FACE: The largest face is small.
        SEVERAL_FACES: More than one face.
        TRUNCATED: Some of the picture's data are missing.
        BROKEN_EXIF: The EXIF block cannot be read, so that the photo may lie on its side.
        TINY: The shorter side has fewer than 64 pixels.
        UPSCALED: The photo was smaller than the model's input and has been enlarged.
        WIDE_GAMUT: The colours are wider than sRGB and were taken as sRGB.
        STRONG_COMPRESSION: The file is a JPEG of very low quality.
        WASHED_OUT: The darkest parts are brighter than those of the photos that the model was trained on.
    """

    NO_FACE = "no_face"
    SMALL_FACE = "small_face"
    SEVERAL_FACES = "several_faces"
    TRUNCATED = "truncated"
    BROKEN_EXIF = "broken_exif"
    TINY = "tiny"
    UPSCALED = "upscaled"
    WIDE_GAMUT = "wide_gamut"
    STRONG_COMPRESSION = "strong_compression"
    WASHED_OUT = "washed_out"


class ErrorRecord(TypedDict):
    """Why there is no answer: a stable code, and a message."""

    code: str
    message: str


class Record(TypedDict):
    """The answer for one photo, or why there is none, flat and as JSON takes it."""

    input: str
    verdict: str | None
    p_ai: float | None
    scores: dict[str, float] | None
    face_probability: float | None
    warnings: list[str]
    model: str
    device: str
    fallback: str | None
    error: ErrorRecord | None
    explanation: NotRequired[str | None]  # these two where they are asked for
    provenance: NotRequired[ProvenanceRecord | None]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one photo.

    Attributes:
        input: Path, or a short description of what was passed.
        verdict: Answer in one word, by the thresholds of the operating point; uncertain where there is no face, or
            where more than a tenth of the photo is missing.
        p_ai: Calibrated probability that the photo is AI-generated, 0 to 1.
        scores: Probability of each of the model's labels, in output order; they sum to 1.
        model: Name and version of the model that answered.
        device: Name of the device that it ran on.
        fallback: Reason why `device="auto"` passed over a better device; None when it did not.
        face_probability: Probability that there is a face in what the model sees, 0 to 1, of the likeliest cell; what
            a centre crop cuts off is not seen. None of a model that does not say.
        warnings: Names of `PhotoWarning`, in its order; those of faces only from a model that looks for them.
        provenance: All that the file says of itself, where it was asked for; nothing else in an answer depends on it.
        basis: Thresholds and rules that it was judged by; None of one that no `Classifier` made. Not compared.
    """

    input: str
    verdict: Verdict
    p_ai: float
    scores: Mapping[str, float] = field(hash=False)
    model: str
    device: str
    fallback: str | None = None
    face_probability: float | None = None
    warnings: tuple[str, ...] = ()
    provenance: Provenance | None = None
    basis: Basis | None = field(default=None, compare=False, repr=False)

    @property
    def explanation(self) -> str:
        """One plain sentence on why the verdict is what it is, without markup."""
        return sentence(self.verdict, self.p_ai, self.warnings, self.basis)

    @property
    def error(self) -> None:
        """None: this is an answer. A `Failure` has an error here."""
        return None

    def to_record(self) -> Record:
        """Return a flat dictionary that JSON takes, with the same keys as a failure's, and provenance if asked for."""
        record: Record = {
            "input": self.input,
            "verdict": self.verdict.value,
            "p_ai": self.p_ai,
            "scores": dict(self.scores),
            "face_probability": self.face_probability,
            "warnings": [str(warning) for warning in self.warnings],
            "model": self.model,
            "device": self.device,
            "fallback": self.fallback,
            "error": None,
        }
        if self.provenance is not None:
            record["provenance"] = self.provenance.to_record()
        return record

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from .notebook import answer_html  # not for an answer alone: start-up counts

        details = [*self.warnings, self.model, self.device]
        return answer_html(
            self.input, self.verdict, self.p_ai, explanation=self.explanation, details=details, basis=self.basis
        )

    def __repr__(self) -> str:
        return f"Prediction({self.input!r}: {self.verdict.value}, p_ai={self.p_ai:.3f})"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer for one photo.

    Attributes:
        input: Path, or a short description of what was passed.
        error: Error that `predict` would have raised.
        model: Name and version of the model that was to answer.
        device: Name of the device that it would have run on.
    """

    input: str
    error: Exception
    model: str
    device: str

    @property
    def code(self) -> str:
        """The error's stable code, `not_an_image` for one."""
        return str(getattr(self.error, "code", "error"))

    def to_record(self) -> Record:
        """Return a flat dictionary that JSON takes, with the same keys as a prediction's."""
        return {
            "input": self.input,
            "verdict": None,
            "p_ai": None,
            "scores": None,
            "face_probability": None,
            "warnings": [],
            "model": self.model,
            "device": self.device,
            "fallback": None,
            "error": {"code": self.code, "message": str(self.error)},
        }


class LabelScore(TypedDict):
    """A label and its probability, 0 to 1, as transformers' pipelines give them."""

    label: str
    score: float


def label_scores(prediction: Prediction) -> list[LabelScore]:
    """Return the labels of an answer, the likeliest first."""
    ranked = sorted(prediction.scores.items(), key=lambda item: item[1], reverse=True)
    return [{"label": label, "score": score} for label, score in ranked]

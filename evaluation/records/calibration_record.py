"""What a calibration did, as the manifest and `aiface.json` have it under `calibration`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .json_record import JsonRecord, json_key

Loss: TypeAlias = float | Mapping[str, float]  # of all photos together, or by condition


@dataclass(frozen=True, kw_only=True)
class CalibrationRecord(JsonRecord):
    """How probabilities were fitted to labelled photos; what a method does not have is None and left out of the JSON.

    Attributes:
        method: Name of the method, and where its numbers lie in the network.
        temperature: Divisor of the logits, above 0.
        slope: Factor of the logits, above 0.
        bias: Summand of the logit of P(AI).
        photos: Number of photos by label.
        fitted_on: Description of the photos.
        source_sha256: Hash of the model file that was calibrated.
        command: Command that the user typed.
        ece_before: Expected calibration error, 0 to 1, before the fit.
        ece_after: Expected calibration error after the fit.
        ece_after_by_condition: Expected calibration error after the fit, where `ece_after` is of all conditions.
        nll_before: Negative log likelihood, both labels weighing the same, before the fit.
        nll_after: Negative log likelihood after the fit.
        max_fpr: Share of the real photos that `balanced` may call AI, where the user chose it.
        warning: Promise that the fit cannot make.
    """

    method: str
    temperature: float | None = None
    slope: float | None = None
    bias: float | None = None
    photos: Mapping[str, int] | None = None
    fitted_on: str | None = None
    source_sha256: str | None = None
    command: str | None = None
    ece_before: Loss | None = None
    ece_after: Loss | None = None
    ece_after_by_condition: Mapping[str, float] | None = field(
        default=None, metadata=json_key("ece_after_by_condition", "ece_after_by_tier")
    )
    nll_before: Loss | None = None
    nll_after: Loss | None = None
    max_fpr: float | None = None
    warning: str | None = None

"""Temperature and operating points for a source, fitted on labelled photos before it is exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from aiface_evaluation.calibration import ai_margin, balanced_loss, expected_calibration_error, fit_temperature
from aiface_evaluation.dataset import check_files, read_samples
from aiface_evaluation.errors import DataError
from aiface_evaluation.operating_points import operating_points
from aiface_evaluation.records.calibration_record import CalibrationRecord
from aiface_evaluation.records.fitted_points import FittedPoint
from aiface_runtime.errors import InputError

from .source import Source


@dataclass(frozen=True)
class Calibration:
    """What labelled photos say of a source's probabilities.

    Attributes:
        temperature: Divisor of the logits, above 0.
        record: Account of the fit, for the manifest.
        operating_points: Thresholds by name.
    """

    temperature: float
    record: CalibrationRecord
    operating_points: Mapping[str, FittedPoint]


def calibrate(source: Source, path: Path) -> Calibration:
    """Fit the temperature and the operating points on labelled photos, of the val split where there is one.

    Args:
        source: Classifier with any number of labels; P(AI) is the sum over those that mean AI.
        path: Labelled photos, as `read_samples` takes them.

    Raises:
        DataError: There are no such photos, none of one label, or one cannot be read.
    """
    samples = read_samples(path)
    split = "val " if any(sample.split == "val" for sample in samples) else ""
    samples = [sample for sample in samples if not split or sample.split == "val"]
    check_files(samples)
    target = np.array([sample.target for sample in samples])
    if len(set(target)) < 2:
        raise DataError(f"{path}: calibrating needs photos of both labels, real and ai")
    try:
        probabilities = source.probabilities(sample.path for sample in samples)
    except InputError as error:
        raise DataError(f"--calibrate: {error}") from error
    ai = source.ai_indices
    temperature = fit_temperature(lambda at: ai_margin(probabilities, ai, at), target)
    before, after = ai_margin(probabilities, ai), ai_margin(probabilities, ai, temperature)
    record = CalibrationRecord(
        method="temperature, in the graph",
        temperature=temperature,
        fitted_on=f"{len(samples)} {split}photos of {path.resolve().name}, both labels weighing the same",
        ece_before=expected_calibration_error(expit(before), target),
        ece_after=expected_calibration_error(expit(after), target),
        nll_before=balanced_loss(before, target),
        nll_after=balanced_loss(after, target),
    )
    return Calibration(temperature, record, operating_points({"clean": expit(after)}, samples))

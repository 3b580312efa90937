"""Honest probabilities and thresholds, fitted on val: the last act of a fine-tuning run.

The temperature (Guo et al., "On Calibration of Modern Neural Networks", 2017) is folded into the checkpoint's own last
layer, so that whoever loads the folder, with this project or with transformers alone, gets the same probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from aiface_export.calibration import expected_calibration_error, fit_temperature, operating_points
from aiface_export.samples import Sample
from scipy.special import expit, logit
from transformers import AutoModelForImageClassification

from .evaluate import score


def calibrate(
    folder: Path, val: Sequence[Sample], progress: Callable[[Iterable[Any]], Iterable[Any]]
) -> dict[str, dict[str, Any]]:
    """Fit the temperature on val, fold it into the checkpoint, and choose the operating points.

    Args:
        folder: A checkpoint with two labels; its weights are rewritten.
        val: Photos that the network was not trained on.
        progress: Wraps an iterable to show how far it is.

    Returns:
        `calibration` and `operating_points` as the manifest has them.
    """
    # Beyond 1e-9 from 0 and 1 float32 keeps no margin.
    margin = logit(np.clip(score(str(folder), val, progress), 1e-9, 1 - 1e-9))
    target = np.array([sample.target for sample in val])
    temperature = fit_temperature(margin, target)
    model = AutoModelForImageClassification.from_pretrained(folder)
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.div_(temperature)
    model.save_pretrained(folder)
    p_ai = expit(margin / temperature)
    calibration = {
        "method": "temperature, folded into the last layer",
        "temperature": temperature,
        "fitted_on": f"{len(val)} val photos, both labels weighing the same",
        "ece_before": expected_calibration_error(expit(margin), target),
        "ece_after": expected_calibration_error(p_ai, target),
    }
    return {"calibration": calibration, "operating_points": operating_points(p_ai, target)}

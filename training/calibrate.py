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
from aiface_export.errors import DataError
from aiface_export.samples import LABELS, Sample, check_files, read_samples
from scipy.special import expit, logit
from transformers import AutoModelForImageClassification

from .data import commands_of, read_record, write_record
from .evaluate import score
from .model import start_from


def recalibrate(
    folder: Path,
    data: Path,
    output: Path,
    progress: Callable[[Iterable[Any]], Iterable[Any]],
    *,
    image_size: int,
    command: str = "",
) -> Path:
    """Copy a checkpoint, give it another input size, and fit temperature and operating points anew on val.

    Random crops make faces look larger in training than whole photos do in use; a somewhat larger input than in
    training makes up for that (Touvron et al., "Fixing the train-test resolution discrepancy", 2019).

    Args:
        folder: A convolutional checkpoint with two labels.
        data: What `read_samples` accepts, with photos of both labels in its val split, or without splits.
        output: The folder to write.
        progress: Wraps an iterable to show how far it is.
        image_size: Side of the square input, in pixels.
        command: What the user typed, for the record.

    Returns:
        `output`.

    Raises:
        DataError: The checkpoint or the photos cannot be used.
    """
    val = [sample for sample in read_samples(data) if sample.split in ("val", "")]
    if {sample.label for sample in val} != set(LABELS):
        raise DataError(f"{data}: calibrating needs val photos of both labels, real and ai")
    check_files(val)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such checkpoint folder")
    model, processor = start_from(folder, image_size)
    model.save_pretrained(output)
    processor.save_pretrained(output)
    training = {**read_record(folder).get("training", {}), "commands": [*commands_of([folder]), command]}
    write_record(output, {**read_record(folder), "training": training, **calibrate(output, val, progress)})
    return output


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

"""Calibrated probabilities and thresholds, fitted on val at the end of a fine-tuning run.

Slope and bias (Platt scaling) become part of the checkpoint's own last layer, so that whoever loads the folder, with
this project or with transformers alone, gets the same probabilities. They are fitted on photos in all conditions:
users' photos are of any.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit, logit
from transformers import AutoModelForImageClassification

from aiface_evaluation.calibration import expected_calibration_error, fit_platt
from aiface_evaluation.conditions import CONDITIONS
from aiface_evaluation.dataset import LABELS, Sample, check_files, read_samples
from aiface_evaluation.errors import DataError
from aiface_evaluation.operating_points import operating_points
from aiface_evaluation.records.calibration_record import CalibrationRecord
from aiface_evaluation.records.fitted_points import FittedPoint
from aiface_evaluation.types import Progress, Scores
from aiface_export.checkpoint_record import CheckpointRecord, commands_of

from .checkpoint import from_checkpoint
from .scorer import CheckpointScorer


def recalibrate(
    folders: Sequence[Path],
    data: Path,
    output: Path,
    progress: Progress,
    *,
    bf16: bool = False,
    command: str = "",
) -> Path:
    """Copy a checkpoint, or the even average of several, and fit probabilities and operating points anew on val.

    Runs that start from one another often end in one connected region of low loss; then their average is better than
    each and as fast as one (Wortsman et al., "Model soups", 2022).

    Args:
        folders: Checkpoints with the labels real and ai, of one architecture; the first gives processor and record.
        data: Path that `read_samples` accepts, with photos of both labels in its val split, or without splits.
        output: The folder to write.
        progress: Wraps an iterable to show how far it is.
        bf16: Whether to compute in bfloat16, as `CheckpointScorer` says.
        command: Command line that the user typed, for the record.

    Returns:
        `output`.

    Raises:
        DataError: The checkpoints or the photos cannot be used.
    """
    val = [sample for sample in read_samples(data) if sample.split in ("val", "")]
    if {sample.label for sample in val} != set(LABELS):
        raise DataError(f"{data}: calibrating needs val photos of both labels, real and ai")
    check_files(val)
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such checkpoint folder")
    opened = [from_checkpoint(folder) for folder in folders]
    model, processor = opened[0]
    model.load_state_dict(_average(folders, [other.state_dict() for other, _ in opened]))
    shutil.copytree(folders[0], output, dirs_exist_ok=True)  # with what else lies there, adapters for instance
    model.save_pretrained(output)
    processor.save_pretrained(output)
    record = CheckpointRecord.read(folders[0])
    training = {**record.training, "commands": [*commands_of(folders), command]}
    calibration, points = calibrate(output, val, progress, bf16=bf16)
    replace(record, training=training, calibration=calibration, operating_points=points).write(output)
    return output


def _average(folders: Sequence[Path], states: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    for folder, own in zip(folders, shapes, strict=True):
        if own != shapes[0]:
            raise DataError(
                f"{folder}: not of the same architecture as {folders[0]}; only such weights can be averaged"
            )
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
        for name, first in states[0].items()
    }


def calibrate(
    folder: Path, val: Sequence[Sample], progress: Progress, *, bf16: bool = False
) -> tuple[CalibrationRecord, dict[str, FittedPoint]]:
    """Fit slope and bias on val in all conditions, apply them to the checkpoint, and choose the operating points.

    Args:
        folder: A checkpoint with two labels; its weights are rewritten.
        val: Photos that the network was not trained on.
        progress: Wraps an iterable to show how far it is.
        bf16: Whether to compute in bfloat16, as `CheckpointScorer` says.

    Returns:
        How it was fitted, and the thresholds by name.

    Raises:
        DataError: The checkpoint does not end in a linear layer with two outputs.
    """
    model = AutoModelForImageClassification.from_pretrained(folder)
    last = _last_layer(model, folder)
    p_ai = CheckpointScorer(folder, bf16=bf16).score(val, tuple(CONDITIONS), progress)
    # Beyond 1e-9 from 0 and 1 float32 keeps no margin.
    margins = {condition: logit(np.clip(values, 1e-9, 1 - 1e-9)) for condition, values in p_ai.items()}
    target = np.array([sample.target for sample in val])
    all_targets = np.tile(target, len(CONDITIONS))
    slope, bias = fit_platt(np.concatenate(list(margins.values())), all_targets)
    _apply(last, slope, bias)
    model.save_pretrained(folder)
    fitted: dict[str, Scores] = {condition: expit(slope * margin + bias) for condition, margin in margins.items()}
    calibration = CalibrationRecord(
        method="Platt scaling, part of the last layer",
        slope=slope,
        bias=bias,
        fitted_on=f"{len(val)} val photos, each in {', '.join(CONDITIONS)}, both labels weighing the same",
        ece_before=expected_calibration_error(np.concatenate(list(p_ai.values())), all_targets),
        ece_after=expected_calibration_error(np.concatenate(list(fitted.values())), all_targets),
        ece_after_by_condition={
            condition: expected_calibration_error(values, target) for condition, values in fitted.items()
        },
    )
    return calibration, operating_points(fitted, val)


def _last_layer(model: torch.nn.Module, folder: Path) -> torch.nn.Linear:
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    if not layers or layers[-1].out_features != len(LABELS) or layers[-1].bias is None:
        raise DataError(f"{folder}: calibrating needs a network that ends in a linear layer of two outputs with bias")
    return layers[-1]


def _apply(layer: torch.nn.Linear, slope: float, bias: float) -> None:
    """Turn margin m, AI's output less real's, into slope * m + bias, shared evenly by both outputs."""
    shift = torch.tensor([-bias / 2, bias / 2], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(layer.weight.double() * slope)
        layer.bias.copy_(layer.bias.double() * slope + shift)

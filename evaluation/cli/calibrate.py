"""Fit a model file's probabilities and thresholds to labelled photos."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aiface_runtime.errors import OutputError, UsageError

from ..names import CONDITION_NAMES
from .common import MODEL, PHOTOS, LeftOut, progress

if TYPE_CHECKING:
    from ..records.calibration_record import Loss

DESCRIPTION = "Fit a model's probabilities and thresholds to labelled photos, and write a copy of the file."
EPILOG = "The photos of the val split are used where there are splits."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help=PHOTOS)
    parser.add_argument("-o", "--output", type=Path, metavar="NEW.onnx", required=True, help="the file to write")
    parser.add_argument(
        "--max-fpr", type=_rate, metavar="RATE", help="share of real photos that may be called AI (default: 0.02)"
    )
    parser.add_argument(
        "--condition", action="append", choices=CONDITION_NAMES, help="to fit in; may repeat (default: all three)"
    )
    parser.add_argument("--name", help="the new model's name (default: the old one's)")
    parser.add_argument("--model-version", metavar="V", help="its version (default: the old one's, +calibrated)")


def run(args: argparse.Namespace) -> int:
    """Fit, verify and write.

    Returns:
        0, or 1 when some photo was left out.
    """
    import onnx  # noqa: F401 a missing package is reported before minutes of work

    from aiface_runtime.catalog import resolve

    from ..dataset import choose_splits, read_samples
    from ..recalibrate.model_file import Options, calibrate_file

    model = resolve(args.model)
    _check_output(args.output, model)
    samples = choose_splits(read_samples(args.photos), ["val"], args.photos)
    conditions = tuple(name for name in CONDITION_NAMES if name in (args.condition or CONDITION_NAMES))
    options = Options(conditions, args.max_fpr, args.name, args.model_version, args.command)
    left_out = LeftOut()
    record = calibrate_file(model, samples, args.output, options, progress=progress, on_undecodable=left_out)
    if record.warning:
        print(f"aiface-evaluate: {record.warning}", file=sys.stderr)
    print(f"{args.output}: slope {record.slope:.4f}, bias {record.bias:+.4f} from {record.fitted_on}")
    for name in conditions:
        print(
            f"{name}: log loss {_in(name, record.nll_before)} before, {_in(name, record.nll_after)} after; "
            f"ECE {_in(name, record.ece_before)} before, {_in(name, record.ece_after)} after"
        )
    left_out.report(len(samples))
    return 1 if left_out.count else 0


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below 1")
    return rate


def _check_output(output: Path, model: Path) -> None:
    if output.suffix != ".onnx":
        raise UsageError(f"{output}: the output must end in .onnx")
    if output.exists() and output.samefile(model):
        raise UsageError(f"{output}: is the model itself; write to another file")
    if output.is_dir() or not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise OutputError(f"{output}: cannot be written; its folder must be there and writable")


def _in(condition: str, loss: Loss | None) -> str:
    """Give the loss of one condition as it is printed."""
    return f"{loss[condition]:.4f}" if isinstance(loss, Mapping) else "not measured"

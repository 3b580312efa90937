"""`aiface-train calibrate`: probabilities and thresholds anew, of one run or the average of several."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._common import add_bf16, add_data, add_output, progress

NAME, HELP = "calibrate", "probabilities and thresholds anew, of one run or the average of several"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="a folder that finetune wrote; the weights of several are averaged",
    )
    add_data(parser)
    add_bf16(parser)
    add_output(parser, "the checkpoint to write")


def run(args: argparse.Namespace) -> None:
    """Calibrate, and print the folder."""
    from ..calibrate import recalibrate

    print(
        recalibrate(args.checkpoints, args.data, args.output, progress("photo"), bf16=args.bf16, command=args.command)
    )

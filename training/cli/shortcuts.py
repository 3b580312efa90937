"""`aiface-train shortcuts`: whether features of the file give the label away, raw and as fed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ._common import add_data, add_recipe, progress

NAME, HELP = "shortcuts", "whether features of the file give the label away, raw and as fed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_data(parser)
    add_recipe(parser, "mobilenetv2")
    parser.add_argument("--samples", type=int, default=4000, metavar="N", help="examples (default: 4000)")
    parser.add_argument("--iterations", type=int, default=100, metavar="N", help="trees a classifier (default: 100)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="where the AUCs go, beside stdout")


def run(args: argparse.Namespace) -> None:
    """Measure, and print the table."""
    from aiface_evaluation.dataset import check_files, read_samples

    from ..data.splits import train_and_val
    from ..recipe import FinetuneRecipe, load_recipe
    from ..shortcuts.probe import as_text, probe_shortcuts

    recipe = load_recipe(args.recipe, FinetuneRecipe, args.set)
    train, _ = train_and_val(read_samples(args.data), recipe.seed)
    check_files(train)
    count = args.samples // 2 * 2
    report = probe_shortcuts(train, recipe, progress("photo", count), count=count, iterations=args.iterations)
    if args.output:
        document = {"command": args.command, **report.to_json()}
        args.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(as_text(report))

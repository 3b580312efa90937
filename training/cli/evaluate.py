"""`aiface-train evaluate`: metrics, page and plots per split, condition, source and generator."""

from __future__ import annotations

import argparse
from pathlib import Path

from aiface_evaluation.names import SPLITS

from ._common import add_bf16, add_data, progress

NAME, HELP = "evaluate", "metrics, page and plots per split, condition, source and generator"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", metavar="MODEL", help="checkpoint folder, .onnx file or bundled name")
    add_data(parser)
    add_bf16(parser)
    parser.add_argument("--split", action="append", choices=SPLITS, help="default: val")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="with FILE.md and plots beside it")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what stdout gets (default: text)")


def run(args: argparse.Namespace) -> None:
    """Evaluate, and print the tables or the JSON."""
    from aiface_evaluation.dataset import choose_splits, read_samples
    from aiface_evaluation.evaluate import assess
    from aiface_evaluation.report import as_json, as_text, check_output, write

    from ..scorer import open_scorer

    if args.output:
        check_output(args.output)
    samples = read_samples(args.data)
    seen = {sample.source for sample in samples if sample.split == "train"}
    samples = choose_splits(samples, args.split or ["val"], args.data)
    scorer = open_scorer(args.model, bf16=args.bf16)
    report = assess(scorer, samples, progress("photo"), seen=seen, command=args.command)
    if args.output:
        write(report, args.output)
    print(as_json(report) if args.format == "json" else as_text(report))

"""Measure models side by side on the same labelled photos, and where they disagree."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from aiface_runtime.errors import OutputError, UsageError

from ..names import SPLITS
from .common import (
    MODEL,
    PHOTOS,
    LeftOut,
    add_source_arguments,
    check_json_output,
    of_chosen_sources,
    progress,
    write_pages,
)

DESCRIPTION = "Measure models on the same labelled photos: figures side by side, disagreement, latency and size."
EPILOG = "Latency is that of one photo on one thread of this machine's CPU, the models in turn."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help=f"two or more, each {MODEL}")
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help=PHOTOS)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.json", help="the record; FILE.md and FILE-auc.png too"
    )
    parser.add_argument("--split", action="append", choices=SPLITS, help="may repeat (default: test)")
    add_source_arguments(parser)
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="of latency; 0: none (default: 30)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the output (default: text)")


def run(args: argparse.Namespace) -> int:
    """Measure, write and print.

    Returns:
        0, or 1 when some photo was left out.
    """
    from ..comparison.chart import auc_chart
    from ..comparison.measure import compare
    from ..comparison.page import comparison_page
    from ..dataset import choose_splits, read_samples

    if len(args.models) < 2:
        raise UsageError("compare takes two models or more, then the photos")
    if args.rounds < 0:
        raise UsageError(f"--rounds {args.rounds}: at least 0")
    check_json_output(args.output)
    samples = of_chosen_sources(read_samples(args.photos), args)
    samples = choose_splits(samples, args.split or ["test"], args.photos)
    left_out = LeftOut()
    comparison = compare(
        args.models, samples, progress, rounds=args.rounds, command=args.command, on_undecodable=left_out
    )
    record = json.dumps(comparison.to_json(), indent=1, ensure_ascii=False)
    if args.output:
        chart = args.output.with_name(f"{args.output.stem}-auc.png")
        write_pages(args.output, record, comparison_page(comparison, chart.name))
        try:
            auc_chart(comparison).savefig(chart, dpi=110)
        except OSError as error:
            raise OutputError(f"{chart}: cannot be written ({error.strerror or error})") from error
    print(record if args.format == "json" else comparison_page(comparison, None).rstrip("\n"))
    left_out.report(len(samples))
    return 1 if left_out.count else 0

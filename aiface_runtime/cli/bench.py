"""Measure how long an answer takes on this machine."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from ._common import REPORT_FORMATS, add_format_argument, add_model_arguments, open_classifier

SUMMARY = "Measure how long an answer takes on this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="times each is measured (default: 15)")
    add_format_argument(parser, REPORT_FORMATS)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print medians in milliseconds with their 95 % intervals."""
    from ..arguments import check_count
    from ..catalog import load
    from ..engine import Engine
    from ..latency import MAX_ROUNDS, measure

    check_count("--rounds", args.rounds, MAX_ROUNDS)
    with open_classifier(args) as classifier:
        engine = Engine(load(args.model, args.sha256), args.device, threads=args.threads)
        timings = measure(classifier, engine, args.rounds)
        model = classifier.manifest.id
    if args.format == "json":
        report = {"model": model, "device": engine.device, "threads": engine.threads}
        print(json.dumps(report | {"milliseconds": {name: asdict(timings[name]) for name in timings}}, indent=2))
        return 0
    print(f"{model} on {engine.device}, {engine.threads} threads, median of {args.rounds} rounds in ms")
    for name, timing in timings.items():
        print(f"{name:32} {timing.median:8.1f}   (95 %: {timing.low:.1f} to {timing.high:.1f})")
    return 0

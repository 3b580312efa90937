"""Measure how long an answer takes on this machine."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from .predict import add_model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="times each is measured (default: 15)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what stdout gets (default: text)")
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print medians in milliseconds with their 95 % intervals."""
    from ..catalog import resolve
    from ..classifier import Classifier
    from ..engine import Engine
    from ..errors import UsageError
    from ..latency import measure

    if args.rounds < 1:
        raise UsageError(f"--rounds {args.rounds}: at least 1")
    with Classifier(
        args.model, device=args.device, threads=args.threads, operating_point=args.operating_point
    ) as classifier:
        found = measure(classifier, Engine(resolve(args.model), args.device, threads=args.threads), args.rounds)
        where = {"model": classifier.manifest.id, "device": classifier.device, "threads": classifier.threads}
    if args.format == "json":
        print(json.dumps(where | {"milliseconds": {name: asdict(timing) for name, timing in found.items()}}, indent=2))
        return 0
    print(f"{where['model']} on {where['device']}, {where['threads']} threads, median of {args.rounds} rounds in ms")
    for name, timing in found.items():
        print(f"{name:32} {timing.median:8.1f}   (95 %: {timing.low:.1f} to {timing.high:.1f})")
    return 0

"""Measure a model file on labelled photos."""

from __future__ import annotations

import argparse
from pathlib import Path

from aiface_runtime.errors import OutputError

from ..names import SPLITS
from .common import MODEL, PHOTOS, LeftOut, add_source_arguments, of_chosen_sources, progress

DESCRIPTION = "Measure a model file on labelled photos: in three conditions, by source and generator."
EPILOG = "aiface-evaluate calibrate MODEL PHOTOS -o NEW.onnx fits a model's probabilities and thresholds to photos."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help=PHOTOS)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="where evaluation.json, evaluation.md and the plots go"
    )
    parser.add_argument(
        "--split", action="append", choices=SPLITS, help="where the photos have splits; may repeat (default: val)"
    )
    add_source_arguments(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the output (default: text)")


def run(args: argparse.Namespace) -> int:
    """Measure, write and print.

    Returns:
        0, or 1 when some photo was left out.
    """
    from ..dataset import choose_splits, read_samples
    from ..evaluate import ModelScorer, assess
    from ..report import as_json, as_text, write

    if args.output:
        _make_folder(args.output)
    scorer = ModelScorer(args.model)
    samples = read_samples(args.photos)
    seen = {sample.source for sample in samples if sample.split == "train"}
    samples = choose_splits(of_chosen_sources(samples, args), args.split or ["val"], args.photos)
    left_out = LeftOut()
    evaluation = assess(scorer, samples, progress, seen=seen, command=args.command, on_undecodable=left_out)
    if args.output:
        try:
            write(evaluation, args.output / "evaluation.json")
        except OSError as error:
            raise OutputError(f"{args.output}: cannot be written ({error.strerror or error})") from error
    print(as_json(evaluation) if args.format == "json" else as_text(evaluation))
    left_out.report(len(samples))
    return 1 if left_out.count else 0


def _make_folder(folder: Path) -> None:
    """Find out before minutes of work that nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".aiface-evaluate"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error

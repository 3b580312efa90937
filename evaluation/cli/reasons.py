"""Measure what makes a model's errors more frequent, for the sentence that comes with an answer."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from aiface_runtime.errors import OutputError, UsageError

from ..names import SPLITS
from .common import MODEL, PHOTOS, LeftOut, check_json_output, progress, write_pages

DESCRIPTION = "Measure what makes a model's errors at least twice as frequent: a small face, strong compression, …"
EPILOG = (
    "What is rare among labelled photos is measured on photos changed on purpose. `--write` puts the rules in a file."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help=PHOTOS)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="the record, and FILE.md beside it")
    parser.add_argument("--write", type=Path, metavar="NEW.onnx", help="MODEL with the rules; may be the same file")
    parser.add_argument("--split", action="append", choices=SPLITS, help="may repeat (default: val)")
    parser.add_argument(
        "--changed", type=int, default=600, metavar="N", help="photos that are changed on purpose too (default: 600)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the output (default: text)")


def run(args: argparse.Namespace) -> int:
    """Measure, write and print.

    Returns:
        0, or 1 when some photo was left out.
    """
    from aiface_runtime.catalog import resolve

    from ..dataset import choose_splits, read_samples
    from ..decodable import decodable
    from ..evaluate import check_labels
    from ..reasons.measure import measure_reasons
    from ..reasons.page import reason_page

    if args.changed < 1:
        raise UsageError(f"--changed {args.changed}: at least 1")
    check_json_output(args.output)
    _check_model_output(args.write)
    model = resolve(args.model)
    samples = choose_splits(read_samples(args.photos), args.split or ["val"], args.photos)
    left_out = LeftOut()
    usable = decodable(samples, progress, left_out).samples
    check_labels(usable)
    report = measure_reasons(str(model), usable, args.changed, progress, command=args.command, left_out=left_out.count)
    record, page = json.dumps(report.to_json(), indent=1, ensure_ascii=False), reason_page(report)
    write_pages(args.output, record, page)
    if args.write:
        from ..reasons.write import write_reasons

        write_reasons(model, report, args.write)
    print(record if args.format == "json" else page.rstrip("\n"))
    left_out.report(len(samples))
    return 1 if left_out.count else 0


def _check_model_output(output: Path | None) -> None:
    if output is None:
        return
    import onnx  # noqa: F401 a missing package is reported before minutes of work

    if output.suffix != ".onnx":
        raise UsageError(f"{output}: the output must end in .onnx")
    if output.is_dir() or not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise OutputError(f"{output}: cannot be written; its folder must be there and writable")

"""Answer for all photos below folders, into a file that can be gone on with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ._common import (
    add_decoding_arguments,
    add_extra_arguments,
    add_model_arguments,
    extras_of,
    open_classifier,
)
from .program import complain
from .progress import ScanProgress

if TYPE_CHECKING:
    from ..scan import ScanSummary

SUMMARY = "Answer for all photos below folders, into a file that can be gone on with"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("inputs", nargs="*", metavar="FOLDER", help="folders (recursively), or photos")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="records, as .jsonl, .csv or .parquet"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on with an output that exists")
    existing.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument("--by-hash", action="store_true", help="compare photos with records by content, not by time")
    parser.add_argument("--retry-failed", action="store_true", help="try all photos again that failed")
    parser.add_argument("--report", type=Path, metavar="PAGE.html", help="a page about the photos, for any browser")
    parser.add_argument(
        "--report-photos", type=int, default=10_000, metavar="N", help="photos that it lists (default: 10000)"
    )
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="photos a run (default: 16)")
    add_extra_arguments(parser)
    add_decoding_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Scan; a photo that cannot be used becomes a record, and the others are still answered."""
    from ..scan import ScanOptions, check, scan

    options = ScanOptions(
        resume=args.resume,
        overwrite=args.overwrite,
        by_hash=args.by_hash,
        retry_failed=args.retry_failed,
        batch_size=args.batch_size,
        report=args.report,
        report_photos=args.report_photos,
        extras=extras_of(args),
    )
    check(args.inputs, args.output, options)  # before the model is opened
    try:
        with open_classifier(args) as classifier, ScanProgress() as progress:
            summary = scan(classifier, args.inputs, args.output, options, progress)
    except KeyboardInterrupt:
        complain(
            "aiface", f"stopped; what was answered is kept: the same command with --resume goes on ({args.output})"
        )
        raise
    tell(summary)
    return 1 if summary.failures else 0


def tell(summary: ScanSummary) -> None:
    """Say on two or three lines what a scan did, and what its output holds."""
    verdicts = [f"{count:,} {name}" for name, count in sorted(summary.verdicts.items())]
    codes = ", ".join(f"{code} {count:,}" for code, count in sorted(summary.failures.items()))
    failed = [f"{sum(summary.failures.values()):,} failed ({codes})"] if codes else []
    copies = [] if summary.duplicates is None else [_counted(summary.duplicates, "duplicate")]
    counts = ", ".join([*verdicts, *failed, *copies])
    complain("aiface", f"{summary.output}: {_counted(summary.records, 'photo')}: {counts}")
    rate = summary.answered / summary.seconds if summary.seconds else 0.0
    before = f"; {summary.records - summary.answered:,} were there" if summary.records > summary.answered else ""
    complain("aiface", f"{summary.answered:,} answered in {summary.seconds:.1f} s, {rate:.1f} photos/s{before}")
    if summary.report:
        complain("aiface", f"{summary.report}: {summary.report.stat().st_size / 1e6:.1f} MB, for any browser")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

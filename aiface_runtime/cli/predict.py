"""Answer for photos and folders of photos."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO, TypeAlias

from ..folders import Unreadable
from ..table import Extras
from ..text import printable
from ._common import (
    ANSWER_FORMATS,
    add_decoding_arguments,
    add_extra_arguments,
    add_format_argument,
    add_model_arguments,
    extras_of,
    open_classifier,
    text_of,
)
from .inputs import expand
from .program import complain
from .progress import Progress

if TYPE_CHECKING:
    from ..prediction import Failure, Prediction

    Answer: TypeAlias = Prediction | Failure


SUMMARY = "Answer for photos and folders of photos"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("inputs", nargs="+", metavar="FILE|FOLDER", help="photos, folders (recursively), - for stdin")
    add_format_argument(parser, ANSWER_FORMATS)
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="photos a run (default: 16)")
    add_extra_arguments(parser)
    add_decoding_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Answer for each input in order; a bad one becomes a record and the others are still answered."""
    inputs = list(expand(args.inputs))
    for folder in (photo for photo in inputs if isinstance(photo, Unreadable) and args.format != "text"):
        complain("aiface", f"{folder.name}: {folder.reason}")  # in text every failure is a line there
    with open_classifier(args) as classifier:
        answers = classifier.predict_many(inputs, batch_size=args.batch_size, provenance=args.provenance)
        with Progress(answers, len(inputs)) as shown:
            return int(_WRITERS[args.format](shown, sys.stdout, extras_of(args)))


def _write_text(answers: Iterator[Answer], out: TextIO, extras: Extras) -> bool:
    failed = False
    for answer in answers:
        if answer.error is None:
            because = f"\n  {printable(answer.explanation)}" if extras.why else ""
            print(f"{text_of(answer)}{because}", file=out, flush=True)
        else:
            failed = True
            complain("aiface", answer.error)
    return failed


def _write_jsonl(answers: Iterator[Answer], out: TextIO, extras: Extras) -> bool:
    failed = False
    for answer in answers:
        failed |= answer.error is not None
        print(json.dumps(extras.record_of(answer)), file=out, flush=True)
    return failed


def _write_json(answers: Iterator[Answer], out: TextIO, extras: Extras) -> bool:
    """Write one array as it grows: a run over a large folder holds no list, and what is cut short is an array."""
    failed = False
    separator = "\n"
    out.write("[")
    try:
        for answer in answers:
            failed |= answer.error is not None
            print(f"{separator}  {json.dumps(extras.record_of(answer))}", end="", file=out, flush=True)
            separator = ",\n"
    finally:
        print("\n]", file=out)
    return failed


def _write_csv(answers: Iterator[Answer], out: TextIO, extras: Extras) -> bool:
    failed = False
    table = csv.writer(out, lineterminator="\n")
    table.writerow(extras.columns)
    for answer in answers:
        failed |= answer.error is not None
        table.writerow(extras.row_of(extras.record_of(answer)))
        out.flush()
    return failed


# Each writes every answer and returns whether any of them is a failure.
_WRITERS: dict[str, Callable[[Iterator[Answer], TextIO, Extras], bool]] = {
    "text": _write_text,
    "json": _write_json,
    "jsonl": _write_jsonl,
    "csv": _write_csv,
}

"""Answer for photos and folders of photos."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO, TypeAlias

from ._common import (
    ANSWER_FORMATS,
    add_decoding_arguments,
    add_format_argument,
    add_model_arguments,
    open_classifier,
    text_of,
)
from .inputs import Unreadable, expand
from .program import complain, printable
from .progress import Progress

if TYPE_CHECKING:
    from ..prediction import Failure, Prediction, Record

    Answer: TypeAlias = Prediction | Failure


_COLUMNS = (
    *("input", "verdict", "p_ai", "scores", "model", "device"),
    *("error", "message", "face_probability", "warnings"),
)

_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their full-width forms

SUMMARY = "Answer for photos and folders of photos"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("inputs", nargs="+", metavar="FILE|FOLDER", help="photos, folders (recursively), - for stdin")
    add_format_argument(parser, ANSWER_FORMATS)
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="photos a run (default: 16)")
    parser.add_argument("--why", action="store_true", help="say in a sentence why each verdict is what it is")
    add_decoding_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Answer for each input in order; a bad one becomes a record and the others are still answered."""
    inputs = list(expand(args.inputs))
    for folder in (photo for photo in inputs if isinstance(photo, Unreadable) and args.format != "text"):
        complain("aiface", f"{folder.name}: {folder.reason}")  # in text every failure is a line there
    with open_classifier(args) as classifier:
        answers = classifier.predict_many(inputs, batch_size=args.batch_size)
        with Progress(answers, len(inputs)) as shown:
            return int(_WRITERS[args.format](shown, sys.stdout, args.why))


def _write_text(answers: Iterator[Answer], out: TextIO, why: bool) -> bool:
    failed = False
    for answer in answers:
        if answer.error is None:
            because = f"\n  {printable(answer.explanation)}" if why else ""
            print(f"{text_of(answer)}{because}", file=out, flush=True)
        else:
            failed = True
            complain("aiface", answer.error)
    return failed


def _write_jsonl(answers: Iterator[Answer], out: TextIO, why: bool) -> bool:
    failed = False
    for answer in answers:
        failed |= answer.error is not None
        print(json.dumps(_record(answer, why)), file=out, flush=True)
    return failed


def _write_json(answers: Iterator[Answer], out: TextIO, why: bool) -> bool:
    """Write one array as it grows: a run over a large folder holds no list, and what is cut short is an array."""
    failed = False
    separator = "\n"
    out.write("[")
    try:
        for answer in answers:
            failed |= answer.error is not None
            print(f"{separator}  {json.dumps(_record(answer, why))}", end="", file=out, flush=True)
            separator = ",\n"
    finally:
        print("\n]", file=out)
    return failed


def _write_csv(answers: Iterator[Answer], out: TextIO, why: bool) -> bool:
    failed = False
    table = csv.writer(out, lineterminator="\n")
    table.writerow((*_COLUMNS, *(("explanation",) if why else ())))
    for answer in answers:
        record = answer.to_record()
        error = record["error"] or {"code": "", "message": ""}
        failed |= answer.error is not None
        scores = json.dumps(record["scores"]) if record["scores"] else ""
        row = (_cell(record["input"]), record["verdict"], record["p_ai"], scores, record["model"], record["device"])
        faces = (record["face_probability"], " ".join(record["warnings"]))
        because = (_cell(_explanation(answer) or ""),) if why else ()
        table.writerow((*row, error["code"], _cell(error["message"]), *faces, *because))
        out.flush()
    return failed


def _record(answer: Answer, why: bool) -> Record:
    record = answer.to_record()
    if why:
        record["explanation"] = _explanation(answer)
    return record


def _explanation(answer: Answer) -> str | None:
    return answer.explanation if answer.error is None else None


def _cell(text: str) -> str:
    """Return a text that takes one line and that no spreadsheet runs as a formula: after `'` it is a text to them."""
    text = printable(text)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and text != "-" else text


# Each writes every answer and returns whether any of them is a failure.
_WRITERS: dict[str, Callable[[Iterator[Answer], TextIO, bool], bool]] = {
    "text": _write_text,
    "json": _write_json,
    "jsonl": _write_jsonl,
    "csv": _write_csv,
}

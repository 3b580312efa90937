"""Answer for photos and folders of photos."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeAlias

from ._common import ANSWER_FORMATS, add_format_argument, add_model_arguments, open_classifier, photo_of, text_of
from .progress import Progress

if TYPE_CHECKING:
    from ..images import ImageInput
    from ..prediction import Failure, Prediction

    Answer: TypeAlias = Prediction | Failure


_COLUMNS = (
    *("input", "verdict", "p_ai", "scores", "model", "device"),
    *("error", "message", "face_probability", "warnings"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("inputs", nargs="+", metavar="FILE|FOLDER", help="photos, folders (recursively), - for stdin")
    add_format_argument(parser, ANSWER_FORMATS)
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="photos a run (default: 16)")
    parser.add_argument("--isolate", action="store_true", help="decode in processes of their own, with a deadline")
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Answer for each input in order; a bad one becomes a record and the others are still answered."""
    inputs = list(_expand(args.inputs))
    with open_classifier(args, isolate=args.isolate) as classifier:
        answers = classifier.predict_many(inputs, batch_size=args.batch_size)
        with Progress(answers, len(inputs)) as shown:
            return int(_WRITERS[args.format](shown, sys.stdout))


def _expand(inputs: Sequence[str]) -> Iterator[ImageInput]:
    for argument in inputs:
        if os.path.isdir(argument) and not _looks_like_photo(argument):
            # A folder with nothing in it stays in the list: decoding it yields the record that says so.
            yield from list(_walk(argument)) or [argument]
        else:
            yield photo_of(argument)


def _walk(folder: str) -> Iterator[str]:
    """Find the photos below a folder, in a stable order; hidden files and folders are left alone."""
    unreadable: list[str] = []
    for parent, folders, files in os.walk(folder, onerror=lambda error: unreadable.append(error.filename)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        misnamed = [name for name in folders if _looks_like_photo(name)]
        folders[:] = [name for name in folders if name not in misnamed]
        for name in sorted(files + misnamed):
            if _looks_like_photo(name) and not name.startswith("."):
                yield os.path.join(parent, name)
    yield from unreadable


def _looks_like_photo(name: str) -> bool:
    from ..images import PHOTO_SUFFIXES

    return Path(name).suffix.lower() in PHOTO_SUFFIXES


def _write_text(answers: Iterator[Answer], out: TextIO) -> bool:
    failed = False
    for answer in answers:
        if answer.error is None:
            print(text_of(answer), file=out, flush=True)
        else:
            failed = True
            print(f"aiface: {answer.error}", file=sys.stderr)
    return failed


def _write_jsonl(answers: Iterator[Answer], out: TextIO) -> bool:
    failed = False
    for answer in answers:
        failed |= answer.error is not None
        print(json.dumps(answer.to_record()), file=out, flush=True)
    return failed


def _write_json(answers: Iterator[Answer], out: TextIO) -> bool:
    """Write one array as it grows: a run over a large folder holds no list."""
    failed = False
    separator = "[\n"
    for answer in answers:
        failed |= answer.error is not None
        print(f"{separator}  {json.dumps(answer.to_record())}", end="", file=out, flush=True)
        separator = ",\n"
    print("\n]", file=out)
    return failed


def _write_csv(answers: Iterator[Answer], out: TextIO) -> bool:
    failed = False
    table = csv.writer(out, lineterminator="\n")
    table.writerow(_COLUMNS)
    for answer in answers:
        record = answer.to_record()
        error = record["error"] or {"code": "", "message": ""}
        failed |= answer.error is not None
        scores = json.dumps(record["scores"]) if record["scores"] else ""
        row = (record["input"], record["verdict"], record["p_ai"], scores, record["model"], record["device"])
        faces = (record["face_probability"], " ".join(record["warnings"]))
        table.writerow((*row, error["code"], error["message"], *faces))
        out.flush()
    return failed


# Each writes every answer and returns whether any of them is a failure.
_WRITERS: dict[str, Callable[[Iterator[Answer], TextIO], bool]] = {
    "text": _write_text,
    "json": _write_json,
    "jsonl": _write_jsonl,
    "csv": _write_csv,
}

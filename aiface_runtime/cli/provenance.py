"""Say what files themselves say of their pictures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO, TypeAlias

from ._common import add_format_argument, add_limit_argument, limits_of
from .inputs import expand
from .program import complain

if TYPE_CHECKING:
    from ..errors import InputError
    from ..images import ImageInput
    from ..provenance import Provenance

    Answer: TypeAlias = tuple[ImageInput, Provenance | InputError]

SUMMARY = "Say what files themselves say of their pictures: Content Credentials, metadata, traces of generators"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("inputs", nargs="+", metavar="FILE|FOLDER", help="photos, folders (recursively), - for stdin")
    add_format_argument(parser, ("text", "json", "jsonl"))
    parser.add_argument("--trust", metavar="PEM", help="certificates to trust beside the C2PA Trust List")
    add_limit_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Answer for each input in order; a bad one becomes a record and the others are still answered."""
    return int(_WRITERS[args.format](_answers(args), sys.stdout))


def _answers(args: argparse.Namespace) -> Iterator[Answer]:
    from ..errors import InputError
    from ..provenance import read

    for image in expand(args.inputs):
        try:
            yield image, read(image, limits_of(args), trust=args.trust)
        except InputError as error:
            yield image, error


def _write_text(answers: Iterator[Answer], out: TextIO) -> bool:
    failed = False
    for _, answer in answers:
        if isinstance(answer, Exception):
            failed = True
            complain("aiface", answer)
        else:
            print(answer, file=out, flush=True)
    return failed


def _write_jsonl(answers: Iterator[Answer], out: TextIO) -> bool:
    failed = False
    for image, answer in answers:
        failed |= isinstance(answer, Exception)
        print(json.dumps(_record(image, answer)), file=out, flush=True)
    return failed


def _write_json(answers: Iterator[Answer], out: TextIO) -> bool:
    """Write one array as it grows: what is cut short is an array too."""
    failed = False
    separator = "\n"
    out.write("[")
    try:
        for image, answer in answers:
            failed |= isinstance(answer, Exception)
            print(f"{separator}  {json.dumps(_record(image, answer))}", end="", file=out, flush=True)
            separator = ",\n"
    finally:
        print("\n]", file=out)
    return failed


def _record(image: ImageInput, answer: Provenance | InputError) -> dict[str, object]:
    from ..images import describe

    if not isinstance(answer, Exception):
        return {**answer.to_record(), "error": None}
    error = {"code": answer.code, "message": str(answer)}
    return {"input": describe(image), "credentials": None, "findings": [], "notes": [], "error": error}


# Each writes every answer and returns whether any of them is a failure.
_WRITERS: dict[str, Callable[[Iterator[Answer], TextIO], bool]] = {
    "text": _write_text,
    "json": _write_json,
    "jsonl": _write_jsonl,
}

"""Show which parts of a photo its answer comes from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..text import printable
from ._common import (
    REPORT_FORMATS,
    add_decoding_arguments,
    add_format_argument,
    add_model_arguments,
    check_output,
    open_classifier,
    text_of,
)
from .inputs import photo_of

if TYPE_CHECKING:
    from PIL import Image

SUMMARY = "Show which parts of a photo its answer comes from"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("input", metavar="IMAGE", help="a photo, - for stdin")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="MAP.png", help="the photo in grey: orange is AI, blue real"
    )
    add_format_argument(parser, REPORT_FORMATS)
    add_decoding_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the map, then print the answer and where the map is."""
    check_output(args.output, args.input)
    with open_classifier(args) as classifier:
        explanation = classifier.explain(photo_of(args.input))
    _write(explanation.overlay(), args.output)
    if args.format == "json":
        print(json.dumps(explanation.to_record() | {"map": str(args.output)}))
    else:
        print(f"{text_of(explanation.prediction)}, evidence map: {printable(str(args.output))}")
    return 0


def _write(picture: Image.Image, output: Path) -> None:
    """Write a picture so that a reader never sees half a file."""
    from ..errors import OutputError
    from ..files import atomic_write

    try:
        with atomic_write(output) as draft:
            picture.save(draft, "PNG")
    except OSError as error:
        raise OutputError(f"-o {output}: cannot be written ({error.strerror or error})") from error

"""Show which places of a photo its answer comes from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from .predict import add_model_arguments, photo_of, text_of

if TYPE_CHECKING:
    from PIL import Image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("input", metavar="IMAGE", help="a photo, - for stdin")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="MAP.png", help="the photo in grey: orange is AI, blue real"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what stdout gets (default: text)")
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the map, then print the answer and where the map is."""
    from ..classifier import Classifier

    _check_output(args.output, args.input)
    with Classifier(
        args.model, device=args.device, threads=args.threads, operating_point=args.operating_point
    ) as classifier:
        explanation = classifier.explain(photo_of(args.input))
    _write(explanation.overlay(), args.output)
    if args.format == "json":
        print(json.dumps(explanation.to_record() | {"map": str(args.output)}))
    else:
        print(f"{text_of(explanation.prediction)}, evidence map: {args.output}")
    return 0


def _check_output(output: Path, given: str) -> None:
    """Before the model is opened, and before a photo could be overwritten by its own map."""
    from ..errors import UsageError

    if output.suffix.lower() != ".png":
        raise UsageError(f"-o {output}: the map is a PNG; end the name in .png")
    if not output.parent.is_dir():
        raise UsageError(f"-o {output}: there is no folder {output.parent}; make it first")
    if output.is_dir():
        raise UsageError(f"-o {output}: is a folder; name a file in it")
    if given != "-" and output.exists() and Path(given).exists() and output.samefile(given):
        raise UsageError(f"-o {output}: is the photo itself; give the map another name")


def _write(picture: Image.Image, output: Path) -> None:
    """In the same folder and then renamed: a reader never sees half a file."""
    from ..errors import UsageError
    from ..files import atomic_write

    try:
        with atomic_write(output) as draft:
            picture.save(draft, "PNG")
    except OSError as error:
        raise UsageError(f"-o {output}: cannot be written ({error.strerror or error})") from error

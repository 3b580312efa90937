"""What several commands share: the choice of a model, and an answer on one line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..devices import DEVICES
from .program import printable

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..prediction import Prediction

Format = Literal["text", "json", "jsonl", "csv"]
REPORT_FORMATS: tuple[Format, ...] = ("text", "json")  # of commands that print one report
ANSWER_FORMATS: tuple[Format, ...] = ("text", "json", "jsonl", "csv")  # of a command that prints many answers


def add_format_argument(parser: argparse.ArgumentParser, formats: tuple[Format, ...]) -> None:
    """Declare which formats a command prints."""
    parser.add_argument("--format", choices=formats, default="text", help="what stdout gets (default: text)")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every command that opens a model takes."""
    parser.add_argument("--model", metavar="NAME|FILE", help="a bundled model or an .onnx file (default: bundled)")
    parser.add_argument("--device", default="auto", metavar="NAME", help=f"one of {', '.join(DEVICES)} (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="cores to use (default: what the container allows)")
    parser.add_argument("--operating-point", default="balanced", metavar="NAME", help="default: balanced")


def open_classifier(args: argparse.Namespace, *, isolate: bool = False) -> Classifier:
    """Open the model that the arguments of `add_model_arguments` name.

    Raises:
        AifaceError: The model or the device cannot be used.
    """
    from ..classifier import Classifier

    return Classifier(
        args.model,
        device=args.device,
        threads=args.threads,
        operating_point=args.operating_point,
        isolate=isolate,
    )


def text_of(answer: Prediction) -> str:
    """Return an answer on one line, with what it warns of."""
    details = ", ".join([f"p_ai {answer.p_ai:.3f}", *answer.warnings])
    return f"{printable(answer.input)}: {answer.verdict.value} ({details})"


def check_output(output: Path, photo: str) -> None:
    """Refuse a bad output before the model is opened, and before a photo could be overwritten by its own map.

    Args:
        output: Path of the map to write.
        photo: The input as the user named it.

    Raises:
        UsageError: Not a `.png`, not in a folder, a folder itself, or the photo.
    """
    from ..errors import UsageError

    if output.suffix.lower() != ".png":
        raise UsageError(f"-o {output}: the map is a PNG; end the name in .png")
    if not output.parent.is_dir():
        raise UsageError(f"-o {output}: there is no folder {output.parent}; make it first")
    if output.is_dir():
        raise UsageError(f"-o {output}: is a folder; name a file in it")
    if photo != "-" and output.exists() and Path(photo).exists() and output.samefile(photo):
        raise UsageError(f"-o {output}: is the photo itself; give the map another name")

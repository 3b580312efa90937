"""What several commands share: the choice of a model, and an answer on one line."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..devices import DEVICES
from ..limits import Limits
from ..table import Extras
from ..text import printable

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..prediction import Prediction

Format = Literal["text", "json", "jsonl", "csv"]
REPORT_FORMATS: tuple[Format, ...] = ("text", "json")  # of commands that print one report
ANSWER_FORMATS: tuple[Format, ...] = ("text", "json", "jsonl", "csv")  # of a command that prints many answers


def add_format_argument(parser: argparse.ArgumentParser, formats: tuple[Format, ...]) -> None:
    """Declare which formats a command prints."""
    parser.add_argument("--format", choices=formats, default="text", help="what stdout gets (default: text)")


def add_model_arguments(parser: argparse.ArgumentParser, *, threads: bool = True) -> None:
    """Declare what every command that opens a model takes; `threads` not where something else says how many."""
    parser.add_argument("--model", metavar="NAME|FILE", help="a bundled model or an .onnx file (default: bundled)")
    parser.add_argument("--device", default="auto", metavar="NAME", help=f"one of {', '.join(DEVICES)} (default: auto)")
    if threads:
        parser.add_argument(
            "--threads", type=int, metavar="N", help="cores to use (default: what the container allows)"
        )
    parser.add_argument("--operating-point", default="balanced", metavar="NAME", help="default: balanced")
    parser.add_argument("--sha256", metavar="HASH", help="hash that the model file must have (default: any)")


def add_decoding_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every command that decodes photos takes."""
    parser.add_argument("--isolate", action="store_true", help="decode in processes of their own, with a deadline")
    add_limit_argument(parser)


def add_limit_argument(parser: argparse.ArgumentParser) -> None:
    """Declare what every command that reads photos takes."""
    names = ", ".join(f"{field.name}={field.default:,}" for field in fields(Limits))
    parser.add_argument(
        "--limit",
        action="append",
        type=_limit,
        default=[],
        metavar="NAME=N",
        help=f"the most that a photo may take: {names}",
    )


def _limit(text: str) -> tuple[str, int | float]:
    name, _, number = text.partition("=")
    try:
        value = float(number) if name == "seconds" else int(number.replace(",", ""))
        Limits(**{name: value})  # type: ignore[arg-type]
    except (TypeError, ValueError):
        known = ", ".join(field.name for field in fields(Limits))
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=N with a number above 0; NAME is one of {known}"
        ) from None
    return name, value


def add_extra_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every command that answers for photos may be asked besides."""
    parser.add_argument("--why", action="store_true", help="say in a sentence why each verdict is what it is")
    parser.add_argument("--provenance", action="store_true", help="say what the files themselves say, too")


def extras_of(args: argparse.Namespace) -> Extras:
    """Return what the arguments of `add_extra_arguments` ask for."""
    return Extras(why=args.why, provenance=args.provenance)


def limits_of(args: argparse.Namespace) -> Limits:
    """Return what the arguments of `add_limit_argument` say."""
    return Limits(**dict(getattr(args, "limit", ())))


def open_classifier(args: argparse.Namespace) -> Classifier:
    """Open the model that the arguments of `add_model_arguments` name, to decode as those of decoding say.

    Raises:
        AifaceError: The model or the device cannot be used.
    """
    from ..classifier import Classifier

    return Classifier(
        args.model,
        device=args.device,
        threads=args.threads,
        operating_point=args.operating_point,
        sha256=args.sha256,
        limits=limits_of(args),
        isolate=getattr(args, "isolate", False),
    )


def text_of(answer: Prediction) -> str:
    """Return an answer on one line, with what it warns of; what its file says of it on lines of its own below it."""
    details = ", ".join([f"p_ai {answer.p_ai:.3f}", *answer.warnings])
    line = f"{printable(answer.input)}: {answer.verdict.value} ({details})"
    return "\n  ".join([line, *answer.provenance.lines()]) if answer.provenance else line


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

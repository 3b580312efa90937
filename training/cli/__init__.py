"""The `aiface-train` command: one module a subcommand, of which none imports anything heavy before it runs."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from aiface_evaluation.errors import DataError
from aiface_export.errors import ExportError
from aiface_runtime.cli.program import NOT_WRITTEN, complain, is_write_error, run_program
from aiface_runtime.errors import AifaceError

from . import (
    autoencoder,
    calibrate,
    distil,
    evaluate,
    face_head,
    finetune,
    reconstructions,
    reference_resnet,
    shortcuts,
    teacher,
    views,
)

_COMMANDS = (
    finetune,
    views,
    teacher,
    distil,
    face_head,
    reference_resnet,
    autoencoder,
    reconstructions,
    calibrate,
    evaluate,
    shortcuts,
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; what it gives has `run`, the function of the subcommand."""
    parser = argparse.ArgumentParser(prog="aiface-train", description="Fine-tune and evaluate detectors of AI faces.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        subparser = commands.add_parser(command.NAME, help=command.HELP)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Returns:
        0 when done, 1 when the data, the start or the model cannot be used, 4 when the output cannot be written;
        argparse exits with 2.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return run_program("aiface-train", lambda: _run(words))


def _run(words: list[str]) -> int:
    parser = build_parser()
    args = parser.parse_args(words)
    args.command = shlex.join([parser.prog, *words])
    try:
        args.run(args)
    except ImportError as error:
        return _fail(f'{error}; install what training needs: pip install "aiface[export,train]"')
    except (AifaceError, DataError, ExportError) as error:
        # An error of a loader's worker brings its whole traceback along; its last line is the message.
        return _fail(str(error).strip().splitlines()[-1])
    except OSError as error:
        if not is_write_error(error):
            raise
        complain("aiface-train", f"the output cannot be written ({error})")
        return NOT_WRITTEN
    return 0


def _fail(message: str) -> int:
    complain("aiface-train", message)
    return 1

"""The `aiface` command. Each command is a module; nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .._version import __version__
from ..errors import AifaceError, InputError, UsageError
from . import bench, doctor, explain, models, predict
from .program import run_program

OK, SOME_INPUT_FAILED, WRONG_USAGE, NO_MODEL_OR_DEVICE = range(4)

_COMMANDS = {"predict": predict, "explain": explain, "bench": bench, "models": models, "doctor": doctor}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 all answered, 1 some input failed, 2 wrong usage, 3 the model or the device cannot be had.
    """
    args = _parser().parse_args(argv)
    return run_program(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    try:
        return int(args.run(args))
    except AifaceError as error:
        print(f"aiface: {error}", file=sys.stderr)
        if isinstance(error, InputError):
            return SOME_INPUT_FAILED
        return WRONG_USAGE if isinstance(error, UsageError) else NO_MODEL_OR_DEVICE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aiface",
        description="Tell a real face photo from an AI-generated one.",
        epilog="Exit codes: 0 all answered, 1 some input failed, 2 wrong usage, 3 no model or device.",
    )
    parser.add_argument("--version", action="version", version=f"aiface {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, module in _COMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0].rstrip(".")
        command = commands.add_parser(name, help=summary[0].lower() + summary[1:], description=summary + ".")
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser

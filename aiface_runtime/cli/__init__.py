"""The `aiface` command. Each command is a module; nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .._version import __version__
from ..errors import AifaceError, InputError, OutputError, UsageError
from . import bench, demo, doctor, explain, models, predict, provenance, scan, serve
from .program import NOT_WRITTEN, complain, run_program

OK, SOME_INPUT_FAILED, WRONG_USAGE, NO_MODEL_OR_DEVICE = range(4)

_EXIT_CODES = ((InputError, SOME_INPUT_FAILED), (UsageError, WRONG_USAGE), (OutputError, NOT_WRITTEN))

_COMMANDS = {
    "predict": predict,
    "scan": scan,
    "explain": explain,
    "provenance": provenance,
    "demo": demo,
    "serve": serve,
    "bench": bench,
    "models": models,
    "doctor": doctor,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 all answered, 1 some input failed, 2 wrong usage, 3 the model or the device cannot be had, 4 the
        output cannot be written.
    """
    return run_program("aiface", lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except AifaceError as error:
        complain("aiface", error)
        return exit_code_of(error)


def exit_code_of(error: AifaceError) -> int:
    """Return the exit code that tells of an error."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), NO_MODEL_OR_DEVICE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aiface",
        description="Tell a real face photo from an AI-generated one.",
        epilog="Exit codes: 0 all answered, 1 some input failed, 2 wrong usage, 3 no model or device, "
        "4 the output cannot be written.",
    )
    parser.add_argument("--version", action="version", version=f"aiface {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, module in _COMMANDS.items():
        summary = module.SUMMARY
        command = commands.add_parser(name, help=summary[0].lower() + summary[1:], description=summary + ".")
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser

"""The `aiface-evaluate` command. Each command is a module; nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence

from aiface_runtime.cli.program import NOT_WRITTEN, complain, run_program
from aiface_runtime.errors import AifaceError, OutputError, UsageError

from . import calibrate, compare, evaluate, faces, reasons

_COMMANDS = {
    "calibrate": calibrate,
    "compare": compare,
    "faces": faces,
    "reasons": reasons,
}  # by the first word; without one, photos are evaluated
OK, UNUSABLE, WRONG_USAGE = range(3)
_EXIT_CODES = (
    "Exit codes: 0 done, 1 the data or the model cannot be used (or some photo could not be decoded), 2 wrong usage, "
    "4 the output cannot be written."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 the data or the model cannot be used, 2 wrong usage, 4 the output cannot be written.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return run_program("aiface-evaluate", lambda: _run(words))


def _run(words: list[str]) -> int:
    command, args = _parsed(words)
    try:
        return command(args)
    except (AifaceError, ImportError, OSError) as error:
        complain("aiface-evaluate", _reason(error))
        return _exit_code(error)


def _parsed(words: list[str]) -> tuple[Callable[[argparse.Namespace], int], argparse.Namespace]:
    name = next((word for word in words[:1] if word in _COMMANDS), None)
    command = _COMMANDS[name] if name else evaluate
    parser = argparse.ArgumentParser(
        prog=f"aiface-evaluate {name}" if name else "aiface-evaluate",
        description=command.DESCRIPTION,
        epilog=f"{_EXIT_CODES} {command.EPILOG}".strip(),
    )
    command.add_arguments(parser)
    args = parser.parse_args(words[1:] if name else words)
    args.command = shlex.join(["aiface-evaluate", *words])
    return command.run, args


def _reason(error: Exception) -> str:
    if isinstance(error, AifaceError) or not isinstance(error, ImportError):
        return str(error)
    remedy = "pip install onnx" if error.name == "onnx" else 'pip install "aiface[evaluate]"'
    return f"{error}; {remedy}"


def _exit_code(error: Exception) -> int:
    if isinstance(error, UsageError):
        return WRONG_USAGE
    return NOT_WRITTEN if isinstance(error, OutputError) else UNUSABLE

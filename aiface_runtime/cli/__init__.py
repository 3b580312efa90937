"""The `aiface` command. Each command is a module; nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence

from .._version import __version__
from ..errors import AifaceError, InputError, UsageError
from . import bench, doctor, explain, models, predict

OK, SOME_INPUT_FAILED, WRONG_USAGE, NO_MODEL_OR_DEVICE = range(4)

_COMMANDS = {"predict": predict, "explain": explain, "bench": bench, "models": models, "doctor": doctor}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 all answered, 1 some input failed, 2 wrong usage, 3 the model or the device cannot be had.
    """
    args = _parser().parse_args(argv)
    # Pillow warns of broken EXIF or of many pixels; both end in an answer or in an error of this library.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for stream in (sys.stdout, sys.stderr):  # file names need not be valid text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(args.run(args))
    except AifaceError as error:
        print(f"aiface: {error}", file=sys.stderr)
        if isinstance(error, InputError):
            return SOME_INPUT_FAILED
        return WRONG_USAGE if isinstance(error, UsageError) else NO_MODEL_OR_DEVICE
    except BrokenPipeError:
        # The reader left (`| head`); without this the interpreter complains again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


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

"""What a command needs as a program: any file name, a reader that leaves, Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable


def run_program(command: Callable[[], int]) -> int:
    """Run a command whose own errors are dealt with.

    Returns:
        What the command returns, or 128 and the signal's number where its reader left or the user interrupted it.
    """
    # Pillow warns of broken EXIF or of many pixels; both end in an answer or in an error of this library.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for stream in (sys.stdout, sys.stderr):  # file names need not be valid text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return command()
    except BrokenPipeError:
        # The reader left (`| head`); without this the interpreter complains again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT

"""A program with all processes that it starts: what they cost, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_STOP = 30.0  # seconds that a program has to end its processes


class ProcessGroup:
    """A running program, in a process group of its own.

    Args:
        command: Program and arguments.
        log: File for what it prints.
    """

    def __init__(self, command: Sequence[str], log: IO[bytes]) -> None:
        self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    @property
    def has_ended(self) -> bool:
        """Whether the program has ended."""
        return self._process.poll() is not None

    def cpu_seconds(self) -> float:
        """Add up the seconds of CPU that its processes took, user and system; NaN where the system is not Linux."""
        if sys.platform != "linux":
            return float("nan")
        return sum(self._ticks()) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Ask it to end, then end all that is left of it."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP)
        until = time.monotonic() + _STOP
        with suppress(ProcessLookupError):
            while time.monotonic() < until:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.poll()  # takes note of its end
                time.sleep(0.05)

    def _ticks(self) -> Iterator[int]:
        for file in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has ended
                fields = file.read_text().rpartition(")")[2].split()  # proc(5), from the third field on
                if int(fields[2]) == self._process.pid:
                    yield int(fields[11]) + int(fields[12])


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP leave through all `with` and `finally`, so that no process is left behind."""

    def leave(number: int, _: object) -> None:
        sys.exit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [(number, signal.signal(number, leave)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)

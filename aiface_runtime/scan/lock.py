"""One scan an output: a lock that ends with its process, however that ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError, UsageError
from .lines import writing

_HELD = (
    errno.EWOULDBLOCK,
    errno.EAGAIN,
    errno.EACCES,
    errno.EDEADLK,
)  # of a lock that is held


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold the lock of an output, on a file beside it.

    The system lets go of it when the process ends; only the file may be left.

    Raises:
        UsageError: Another process holds it.
        OutputError: There can be no file in its folder.
    """
    file = output.with_name(output.name + ".lock")
    descriptor = _take(file, output)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no file that is open
            file.unlink(missing_ok=True)
        os.close(descriptor)


def _take(file: Path, output: Path) -> int:
    while True:
        with writing(file):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            _lock(descriptor)
            if _is_same(descriptor, file):  # and not the file of a scan that has just removed it
                return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _HELD:
                raise OutputError(f"{file}: cannot be locked ({error.strerror}); write to another disk") from error
            raise UsageError(f"{output}: another scan is writing it; wait for it, or give -o another name") from error
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock, or raise OSError at once."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_same(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False

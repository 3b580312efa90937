"""What a command needs as a program: output that is checked, any file name, a reader that leaves, signals."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from ..text import printable

if TYPE_CHECKING:
    from types import FrameType

    from _typeshed import ReadableBuffer

NOT_WRITTEN = 4  # exit code: the output could not be written
_READER_LEFT = 128 + 13  # exit code: as a shell reports SIGPIPE
_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")  # those that the system has
_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def run_program(program: str, command: Callable[[], int]) -> int:
    """Run a command whose own errors are dealt with, and see that all of its output is written.

    Messages that nobody can receive (stderr closed, or on a full disk) are dropped, and the command goes on.

    Args:
        program: Name that messages begin with.
        command: Function that parses arguments, prints its answer and returns an exit code.

    Returns:
        What the command returns; 4 where stdout could not be written; 128 and the signal's number where its reader
        left or a signal stopped it. A second signal ends the process at once.
    """
    # Pillow warns of broken EXIF or of many pixels; both end in an answer or in an error of this library.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with _checked_streams():
        try:
            try:
                with _stopping_signals():
                    return command()
            finally:
                sys.stdout.flush()
        except _OutputLostError as lost:
            if isinstance(lost.cause, BrokenPipeError):  # `| head`
                return _READER_LEFT
            reason = lost.cause.strerror or lost.cause
            complain(program, f"standard output cannot be written ({reason}); free its disk or send it elsewhere")
            return NOT_WRITTEN
        except KeyboardInterrupt as stop:
            return 128 + (stop.number if isinstance(stop, _Stopped) else signal.SIGINT)


def complain(program: str, message: object) -> None:
    """Print one line about the work on stderr."""
    print(f"{program}: {printable(str(message))}", file=sys.stderr, flush=True)


def is_write_error(error: BaseException | None) -> bool:
    """Say whether an error, or one that it comes from, is one that only writing meets: no space, a quota, read-only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _WRITE_ERRORS:
            return True
        error = error.__cause__
    return False


class _OutputLostError(Exception):
    """Standard output could not be written; no OSError, so that nobody takes it for one of a photo's."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Stopped(KeyboardInterrupt):
    """A signal asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Messages(io.FileIO):
    """Descriptor to write to; what cannot be written is dropped."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            while (written := super().write(data)) is None:  # the other end of a pipe may have made it non-blocking
                select.select([], [self], [])
        except OSError as error:
            self._lose(error)
            return memoryview(data).nbytes
        return written

    def _lose(self, error: OSError) -> None:
        """Do nothing about what cannot be written."""


class _Output(_Messages):
    """Descriptor to write to; the first thing that cannot be written raises, what comes after it is dropped."""

    _lost = False

    def _lose(self, error: OSError) -> None:
        if not self._lost:
            self._lost = True
            raise _OutputLostError(error) from error


@contextmanager
def _checked_streams() -> Iterator[None]:
    """Replace stdout and stderr for a while; a caller's own objects in their place stay."""
    _occupy_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _checked(sys.stdout, 1, _Output), _checked(sys.stderr, 2, _Messages)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _occupy_descriptors() -> None:
    """Open the null device where the caller closed 0, 1 or 2, which the next file opened would otherwise become."""
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):  # 1: so that writing to it fails
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest free number, this one


def _checked(stream: TextIO | None, descriptor: int, kind: type[io.FileIO]) -> TextIO:
    if stream is not None:
        buffer = getattr(stream, "buffer", None)
        if type(getattr(buffer, "raw", buffer)) is not io.FileIO or stream.fileno() != descriptor:
            return stream
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(kind(descriptor, "w", closefd=False)),
        encoding=stream.encoding if stream else None,
        errors="backslashreplace",  # file names need not be valid text
        line_buffering=descriptor == 2 or (stream is not None and stream.isatty()),
    )


@contextmanager
def _stopping_signals() -> Iterator[None]:
    """Have the first signal that asks for an end raise, so that drafts are removed, and the second end the process.

    While onnxruntime works in other threads, an interpreter that is interrupted in its own end aborts.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    caught = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}  # nohup
    owner = os.getpid()

    def stop(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker, which its parent ends
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for other in caught:
            signal.signal(other, lambda second, _: os._exit(128 + second))
        raise _Stopped(number)

    for number in caught:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in caught.items():
            if signal.getsignal(number) is stop:  # after a signal the process is about to end
                signal.signal(number, handler)

"""A file of lines that grows: whole lines only, whatever ends the program, and none is lost on a full disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError

SYNC_SECONDS = 5.0  # of lines that a power failure may cost; a program that is killed loses none


class LineFile:
    """A file that lines are appended to, each by one call of the system and without a buffer.

    Args:
        path: File, which is made where there is none. What follows its last line feed is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
            self._end = _end_of_lines(path)
            self._file.truncate(self._end)
            self._file.seek(self._end)
        self._synced = time.monotonic()

    def append(self, line: bytes) -> int:
        """Write one line, and return where it begins.

        Raises:
            OutputError: It cannot be written; nothing of it is left.
        """
        with writing(self.path):
            self._write(line)
            start, self._end = self._end, self._end + len(line)
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        return start

    def _write(self, line: bytes) -> None:
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(self._end)
            self._file.seek(self._end)
            raise

    def at(self, start: int) -> bytes:
        """Return the line that begins there."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.readline()

    def close(self) -> None:
        """Have the system write everything to the disk."""
        if not self._file.closed:
            with suppress(OSError):  # every line was written; what cannot be synced stays in the system's cache
                os.fsync(self._file.fileno())
            self._file.close()


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield where each whole line of a file begins, and the line."""
    start = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield start, line
            start += len(line)


def replace_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file anew so that a reader sees the old one or the whole new one, also after a power failure.

    Raises:
        OutputError: It cannot be written; the old one stays.
    """
    with replacing(path) as draft, draft.open("wb") as file:
        for piece in pieces:
            file.write(piece)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside a file to write to, which replaces it when the block succeeds.

    What a killed program leaves of it is overwritten by the next one.

    Raises:
        OutputError: It cannot be written; the old one stays.
    """
    draft = draft_of(path)
    try:
        with writing(path):
            yield draft
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(path)
    finally:
        with suppress(OSError):  # the error that it is about is the one before
            draft.unlink(missing_ok=True)


def draft_of(path: Path) -> Path:
    """Return where a file is written anew."""
    return path.with_name(path.name + ".new")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into the error that ends a command.

    Raises:
        OutputError: Something about the file failed.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"{path}: cannot be written ({reason}); free its disk or look at its folder, then go on with --resume"
        ) from error


def rewrite_without(path: Path, is_left_out: Callable[[int], bool]) -> None:
    """Leave out the lines that begin at some offsets.

    Raises:
        OutputError: It cannot be written; the old one stays.
    """
    replace_file(path, (line for start, line in lines_of(path) if not is_left_out(start)))


def _end_of_lines(path: Path) -> int:
    """Return the length of a file up to its last line feed."""
    block = 2**16
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - block)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0

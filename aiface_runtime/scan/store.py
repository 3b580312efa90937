"""The output of a scan: records that are appended one by one, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import UsageError
from . import parquet
from .lines import LineFile, draft_of, lines_of, replace_file, rewrite_without, writing
from .records import Codec, Csv, JsonLines, ScanRecord

SUFFIXES = (".jsonl", ".csv", ".parquet")


class Store:
    """Records in a file, each on a line of its own.

    Parquet cannot be appended to: its records are gathered as JSONL in a journal beside the output, which becomes the
    output in the end.

    Args:
        output: The file as the user named it; its suffix is the format.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self._is_parquet = output.suffix.lower() == ".parquet"
        self._codec: Codec = Csv() if output.suffix.lower() == ".csv" else JsonLines()
        self._path = output.with_name(output.name + ".journal") if self._is_parquet else output
        self._lines: LineFile | None = None

    @property
    def existing(self) -> Path | None:
        """What there is of an earlier scan."""
        return next((path for path in (self.output, self._path) if path.exists()), None)

    def open(self, *, anew: bool) -> None:
        """Make ready to append.

        Args:
            anew: Whether what there is is thrown away.

        Raises:
            UsageError: It is not of a scan, or of another format.
            OutputError: It cannot be written.
        """
        with writing(self.output):
            for path in {self.output, self._path}:
                draft_of(path).unlink(missing_ok=True)  # of a scan that was killed
            if anew:
                self._path.unlink(missing_ok=True)
        if not anew and self._is_parquet and not self._path.exists() and self.output.exists():
            replace_file(self._path, map(self._codec.encode, parquet.read(self.output)))
        if self._path.exists():
            self._check_start()
        self._lines = LineFile(self._path)
        if self._codec.header and not next(lines_of(self._path), None):
            self._lines.append(self._codec.header)

    def _check_start(self) -> None:
        """Refuse a file that no scan has written, before anything of it is cut off.

        Raises:
            UsageError: It is such a file.
        """
        with writing(self._path), self._path.open("rb") as file:
            start = file.read(len(self._codec.start))
        if not self._codec.start.startswith(start):  # which may be torn, or empty
            raise UsageError(f"{self._path}: is no {self._codec.name} of a scan; give -o another name")

    def records(self) -> Iterator[tuple[int, ScanRecord]]:
        """Yield where each record begins, and the record.

        Raises:
            UsageError: A line is none.
        """
        header = len(self._codec.header)
        for number, (start, line) in enumerate(lines_of(self._path), 1):
            if start < header:
                continue
            try:
                yield start, self._codec.decode(line)
            except (ValueError, LookupError) as error:
                raise UsageError(
                    f"{self._path}: line {number:,} is no record of a scan; give -o another name, or --overwrite"
                ) from error

    def leave_out(self, is_left_out: Callable[[int], bool]) -> None:
        """Remove the records that begin at some offsets; what begins where changes.

        Raises:
            OutputError: It cannot be written; all of them stay.
        """
        self.close()
        rewrite_without(self._path, is_left_out)
        self._lines = LineFile(self._path)

    def append(self, record: ScanRecord) -> int:
        """Write a record, and return where it begins.

        Raises:
            OutputError: It cannot be written; nothing of it is left.
        """
        assert self._lines is not None  # noqa: S101 it is open
        return self._lines.append(self._codec.encode(record))

    def at(self, start: int) -> ScanRecord:
        """Return the record that begins there."""
        assert self._lines is not None  # noqa: S101 it is open
        return self._codec.decode(self._lines.at(start))

    def finish(self) -> None:
        """Make the output of the journal, where it is not the output itself.

        Raises:
            OutputError: It cannot be written; the journal stays.
        """
        self.close()
        if self._is_parquet:
            parquet.write(self.output, (record for _, record in self.records()))

    def remove_journal(self) -> None:
        """Remove what the output was made of, where that is a file of its own; until then it counts, if both are there.

        Raises:
            OutputError: It cannot be removed.
        """
        if self._is_parquet:
            with writing(self._path):
                self._path.unlink()

    def close(self) -> None:
        """Write everything to the disk."""
        if self._lines is not None:
            self._lines.close()

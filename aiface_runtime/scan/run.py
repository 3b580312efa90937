"""A scan: from folders to records in a file."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..arguments import Arguments, check_count
from ..batching import Workers
from ..errors import UsageError
from . import parquet
from .lock import locked
from .options import ScanOptions, ScanSummary, Tally
from .photos import Contents, DuplicateError, Found, PhotoFile, find, key_of
from .records import ScanRecord, scan_record, settings_of
from .report import Report
from .resume import remove_stale
from .store import SUFFIXES, Store

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..prediction import Failure, Prediction

_DEFAULT_OPTIONS = ScanOptions()


def scan(
    classifier: Classifier,
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    options: ScanOptions = _DEFAULT_OPTIONS,
    progress: Callable[[Tally], None] | None = None,
) -> ScanSummary:
    """Answer for all photos below folders, each once, into a file that a later scan can go on with.

    A record is written as soon as its photo is answered, as one line by one call of the system: a scan that is killed
    leaves whole records only, but for a last line that the next one cuts off.

    Args:
        classifier: The model.
        inputs: Folders, which are read recursively, and photos.
        output: File of records; its suffix, `.jsonl`, `.csv` or `.parquet`, is the format.
        options: Treatment of an output that exists, and files that are written besides.
        progress: Function that is called after each record.

    Raises:
        UsageError: Arguments that make no sense, an output that exists, or one that was made in another way.
        OutputError: The output cannot be written; what was written before stays.
    """
    names = [os.fsdecode(each) for each in inputs]
    file = Path(output)
    check(names, file, options)
    with locked(file.resolve()):
        check(names, file, options)  # again: another scan may have ended in between
        return _Scan(classifier, file, options, progress).run(names)


def check(inputs: Sequence[str], output: Path, options: ScanOptions) -> None:
    """Refuse what cannot end well before any work is done.

    Raises:
        UsageError: Arguments that make no sense, or an output that exists.
    """
    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"-o {output}: the suffix decides on the format; end the name in {', '.join(SUFFIXES)}")
    if output.suffix.lower() == ".parquet":
        parquet.check_installed(output)
    check_count("batch_size", options.batch_size, sys.maxsize)
    check_count("report_photos", options.report_photos, sys.maxsize)
    _check_file("-o", output)
    if options.report is not None:
        if options.report.suffix.lower() not in (".html", ".htm"):
            raise UsageError(f"--report {options.report}: the report is a page; end the name in .html")
        _check_file("--report", options.report)
    if "-" in inputs:
        raise UsageError("-: scan takes folders and files; aiface predict reads a photo from standard input")
    existing = Store(output).existing
    if options.resume and options.overwrite:
        raise UsageError("--resume and --overwrite: choose one of them")
    if existing and not (options.resume or options.overwrite):
        raise UsageError(f"{existing}: exists; --resume goes on with it, --overwrite begins anew")
    if not inputs and not (options.resume and options.report and existing):
        raise UsageError("name folders to scan; only --resume with --report does without, on an output that exists")


def _check_file(option: str, file: Path) -> None:
    if not file.parent.is_dir():
        raise UsageError(f"{option} {file}: there is no folder {file.parent}; make it first")
    if file.exists() and not file.is_file():
        raise UsageError(f"{option} {file}: is no regular file; give it another name")


class _Scan:
    """One scan whose output is locked."""

    def __init__(
        self, classifier: Classifier, output: Path, options: ScanOptions, progress: Callable[[Tally], None] | None
    ) -> None:
        self._classifier, self._output, self._options = classifier, output, options
        self._progress = progress
        self._store = Store(output.resolve())
        arguments = classifier.__getstate__()  # once: it hashes the model file
        self._report = _report(classifier, arguments, output.resolve(), options)
        self._contents, self._tally = Contents(), Tally()
        self._settings = settings_of(classifier.manifest.id, arguments, options.extras)
        self._max_bytes = arguments.limits.bytes
        self._done: set[bytes] = set()
        self._waiting: deque[PhotoFile] = deque()  # in the order in which they are answered
        self._fresh: dict[bytes, ScanRecord] = {}  # of contents whose first photo has not been written yet

    def run(self, names: Sequence[str]) -> ScanSummary:
        try:
            self._open()
            stop = self._count_photos(names)
            try:
                self._answer(find(names))
            finally:
                stop.set()
            seconds = time.monotonic() - self._tally.started
            self._store.finish()
            if self._report:
                self._report.write(lambda: (record for _, record in self._store.records()))
            self._store.remove_journal()
        finally:
            self._store.close()
            if self._report:
                self._report.close()
        return self._summary(seconds)

    def _open(self) -> None:
        self._store.open(anew=not self._options.resume)
        with Workers(self._classifier.threads) as workers:
            remove_stale(self._store, self._options, workers, self._settings)
        if self._report:
            self._report.open(anew=not self._options.resume)
        for start, record in self._store.records():
            self._done.add(key_of(record["input"]))
            self._tally.count(record)
            if record["sha256"] is not None:
                self._contents.settle(bytes.fromhex(record["sha256"]), start)
            if self._report:
                self._report.note(record)

    def _count_photos(self, names: Sequence[str]) -> threading.Event:
        """Count all photos in the background, for whoever looks at the progress; the event ends it."""
        stop = threading.Event()

        def count() -> None:
            total = 0
            for total, _ in enumerate(find(names), 1):  # noqa: B007
                if stop.is_set():
                    return
            self._tally.total = total

        if self._progress is not None:
            threading.Thread(target=count, name="aiface-count", daemon=True).start()
        return stop

    def _answer(self, found: Iterator[Found]) -> None:
        self._tally.started = time.monotonic()
        answers = self._classifier.predict_many(
            self._files(found),
            batch_size=self._options.batch_size,
            look=self._report.look if self._report else None,
            provenance=self._options.extras.provenance,
        )
        held: deque[tuple[PhotoFile, ScanRecord | None]] = deque()
        for answer in answers:
            file = self._waiting.popleft()
            held.append((file, self._own_record(file, answer)))
            while held and (record := self._next_record(*held[0])):
                self._write(record, held.popleft()[0].sha256)
        assert not held  # noqa: S101 a content that is waited for is answered in the same batch

    def _files(self, found: Iterator[Found]) -> Iterator[PhotoFile]:
        for photo in found:
            name, problem = (photo, None) if isinstance(photo, str) else (photo.name, photo.reason)
            if key_of(name) in self._done:
                self._tally.kept += 1
                continue
            file = PhotoFile(name, self._max_bytes, self._contents, problem)
            self._waiting.append(file)
            yield file

    def _own_record(self, file: PhotoFile, answer: Prediction | Failure) -> ScanRecord | None:
        """Return the record of a photo; None of one that has the content of another."""
        if isinstance(answer.error, DuplicateError):
            return None
        record = scan_record(self._options.extras.record_of(answer), file, self._settings)
        if file.sha256 is not None:
            self._fresh[file.sha256] = record
            if self._report:
                self._report.keep_picture(file.name, record)
        return record

    def _next_record(self, file: PhotoFile, own: ScanRecord | None) -> ScanRecord | None:
        """Return the record of the photo whose turn it is; None while another thread's answer is waited for.

        Of several photos of one content in one batch any may have been answered; the first in order counts as such.
        """
        if file.sha256 is None:
            return own
        start = self._contents.record_of(file.sha256)
        if start is not None:
            original = self._store.at(start)
            return {**_renamed(original, file), "duplicate_of": original["input"]}
        record = self._fresh.pop(file.sha256, None)
        return None if record is None else _renamed(record, file)

    def _write(self, record: ScanRecord, sha256: bytes | None) -> None:
        start = self._store.append(record)
        if sha256 is not None:
            self._contents.settle(sha256, start)
        self._tally.answered += 1
        self._tally.count(record)
        if self._progress:
            self._progress(self._tally)

    def _summary(self, seconds: float) -> ScanSummary:
        tally = self._tally
        verdicts, failures = dict(tally.verdicts), dict(tally.failures)
        return ScanSummary(
            output=self._output,
            records=sum(verdicts.values()) + sum(failures.values()),
            verdicts=verdicts,
            failures=failures,
            duplicates=tally.duplicates,
            answered=tally.answered,
            seconds=seconds,
            report=self._options.report,
        )


def _report(classifier: Classifier, arguments: Arguments, output: Path, options: ScanOptions) -> Report | None:
    if options.report is None:
        return None
    return Report(classifier, arguments, output, options.report, options.report_photos)


def _renamed(record: ScanRecord, file: PhotoFile) -> ScanRecord:
    """Return the record of a photo that has the content of another."""
    error, before = record["error"], record["input"] + ": "
    if error is not None and error["message"].startswith(before):
        error = {"code": error["code"], "message": f"{file.name}: {error['message'].removeprefix(before)}"}
    renamed: ScanRecord = {**record, "input": file.name, "error": error, "size": file.size, "mtime_ns": file.mtime_ns}
    if said := renamed.get("provenance"):
        renamed["provenance"] = {**said, "input": file.name}
    return renamed

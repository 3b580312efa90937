"""Which records of an earlier scan still stand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ..batching import Workers
from ..errors import ImageDecodeError, ImageShapeError, ImageTooLargeError, UsageError
from .options import ScanOptions
from .photos import key_of, state_of
from .records import ScanRecord, Settings
from .store import Store

_AT_ONCE = 1024
_OF_CONTENT = (ImageDecodeError.code, ImageShapeError.code, ImageTooLargeError.code)  # trying again changes nothing


def remove_stale(store: Store, options: ScanOptions, workers: Workers, settings: Settings) -> None:
    """Remove the records of photos that are to be answered anew.

    They are those that changed, and those that failed and may succeed now. Of several records of a path the last one
    stays; photos that are not there any more keep theirs.

    Args:
        store: The records.
        options: Choice of what is compared, and of the failures that are tried again.
        workers: Threads to look at files with.
        settings: Fields that the records of this scan have in common.

    Raises:
        UsageError: The records were made by another model or with other options.
        OutputError: The file cannot be written.
    """
    is_stale = _stale_by(options)
    starts: dict[bytes, int] = {}
    stale: set[int] = set()
    records = store.records()
    while part := list(islice(records, _AT_ONCE)):
        for (start, record), changed in zip(part, workers.map(is_stale, [record for _, record in part]), strict=True):
            check_settings(store.output, record, settings, "give -o another name, or --overwrite")
            key = key_of(record["input"])
            if key in starts:
                stale.add(starts[key])
            starts[key] = start
            if changed:
                stale.add(start)
    if stale:
        store.leave_out(stale.__contains__)


def check_settings(output: object, record: Mapping[str, Any], settings: Settings, remedy: str) -> None:
    """Refuse to go on with records that were made in another way.

    Raises:
        UsageError: They were.
    """
    for what, made_with, now in (
        ("model", record["model"], settings["model"]),
        ("operating point", record["operating_point"], settings["operating_point"]),
        ("model file or other options", record["settings"], settings["settings"]),
    ):
        if made_with != now:
            raise UsageError(f"{output}: was made with another {what} ({made_with}, not {now}); {remedy}")


def _stale_by(options: ScanOptions) -> Callable[[ScanRecord], bool]:
    def is_stale(record: ScanRecord) -> bool:
        state = state_of(record["input"])
        if state is None:
            return False
        error = record["error"]
        if error is not None and (options.retry_failed or error["code"] not in _OF_CONTENT):
            return True
        if options.by_hash and record["sha256"] is not None:
            return state[0] != record["size"] or _sha256(record["input"]) != record["sha256"]
        return state != (record["size"], record["mtime_ns"])

    return is_stale


def _sha256(name: str) -> str | None:
    try:
        with Path(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None

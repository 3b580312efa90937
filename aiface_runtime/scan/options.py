"""What a scan is asked for, and what it says of itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..table import NO_EXTRAS, Extras


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What is done with an output that exists, and what is written besides.

    Attributes:
        resume: Go on with an output that exists; photos that it has are not answered again unless they changed.
        overwrite: Replace an output that exists.
        by_hash: Compare the content of a photo with its record, in place of its size and time.
        retry_failed: Try all photos again that failed; without it those whose content cannot be at fault.
        batch_size: Number of photos that are decoded, and then answered, together.
        report: Page to write at the end; None for none.
        report_photos: Number of photos that the page lists, the most suspicious ones.
        extras: Sentences and provenance, where the records are to have them.
    """

    resume: bool = False
    overwrite: bool = False
    by_hash: bool = False
    retry_failed: bool = False
    batch_size: int = 16
    report: Path | None = None
    report_photos: int = 10_000
    extras: Extras = NO_EXTRAS


@dataclass(slots=True)
class Tally:
    """How far a scan is; it goes on counting.

    Attributes:
        total: Number of photos that there are; None until they are counted.
        verdicts: Number of records by verdict, those of earlier runs among them.
        failures: Number of records without an answer by error code, likewise.
        duplicates: Number of records of a content that another record has, likewise.
        kept: Number of photos whose records of earlier runs stand.
        answered: Number of records that this run wrote.
        started: `time.monotonic()` when the first photo was asked for.
    """

    total: int | None = None
    verdicts: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    kept: int = 0
    answered: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Photos a second of this run."""
        return self.answered / max(time.monotonic() - self.started, 1e-9)

    def count(self, record: Mapping[str, Any]) -> None:
        """Count one record."""
        if record["error"] is None:
            self.verdicts[record["verdict"]] += 1
        else:
            self.failures[record["error"]["code"]] += 1
        self.duplicates += record["duplicate_of"] is not None


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """What a scan did, and what its output holds.

    Attributes:
        output: The file of records, or the folder or address of several.
        records: Number of records in it.
        verdicts: Number of them by verdict.
        failures: Number of them without an answer, by error code.
        duplicates: Number of them that were answered by another photo of equal content; None where none is looked for.
        answered: Number of them that this run wrote.
        seconds: Time that this took.
        report: The page; None where none was asked for.
    """

    output: Path | str
    records: int
    verdicts: Mapping[str, int]
    failures: Mapping[str, int]
    duplicates: int | None
    answered: int
    seconds: float
    report: Path | None

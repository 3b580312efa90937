"""A record of a scan: what `aiface predict` says of a photo, and what a later run needs to know it again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from ..prediction import Record
from ..table import COLUMNS, Cell, Extras, cell, row_of

if TYPE_CHECKING:
    from ..arguments import Arguments

_ADDED = ("size", "mtime_ns", "sha256", "duplicate_of", "operating_point", "settings")
_ASKED = ("explanation", "provenance")  # JSON; empty where they were not asked for
SCAN_COLUMNS = (
    *COLUMNS,
    *_ASKED,
    *_ADDED,
    "input_hex",
)  # hexadecimal bytes of a name that a table does not show as it is


class Settings(TypedDict):
    """What all records of a scan have in common."""

    model: str
    operating_point: str
    settings: str


class ScanRecord(Record):
    """A record with the file's size in bytes, its time, the hash of its content, and how it was answered.

    `settings` is a hash of the model file and of what else an answer depends on.
    """

    size: int | None
    mtime_ns: int | None
    sha256: str | None
    duplicate_of: str | None
    operating_point: str
    settings: str


class ReadPhoto(Protocol):
    """A photo whose content was read, or could not be.

    Attributes:
        size: Length in bytes; None where there is no file.
        mtime_ns: Time of its last change, likewise.
        sha256: SHA-256 of its content; None where it cannot be read.
    """

    size: int | None
    mtime_ns: int | None
    sha256: bytes | None


def settings_of(model: str, arguments: Arguments, extras: Extras) -> Settings:
    """Return what all records of a scan have in common."""
    decisive = [arguments.sha256, arguments.operating_point, extras.why, extras.provenance]
    digest = hashlib.sha256(json.dumps(decisive, default=repr).encode()).hexdigest()[:16]
    return {"model": model, "operating_point": arguments.operating_point, "settings": digest}


def scan_record(record: Record, photo: ReadPhoto, settings: Settings) -> ScanRecord:
    """Return the record of a photo that is no copy of another."""
    return {
        **record,
        "size": photo.size,
        "mtime_ns": photo.mtime_ns,
        "sha256": photo.sha256.hex() if photo.sha256 else None,
        "duplicate_of": None,
        "operating_point": settings["operating_point"],
        "settings": settings["settings"],
    }


def cells_of(record: ScanRecord) -> tuple[Cell, ...]:
    """Return a record's cells in the order of `SCAN_COLUMNS`."""
    name, original = record["input"], record["duplicate_of"]
    raw = None if cell(name) == name else os.fsencode(name).hex()
    shown = None if original is None else cell(original)
    file = (record["size"], record["mtime_ns"], record["sha256"], shown)
    said = record.get("provenance")
    asked = (cell(record.get("explanation") or ""), json.dumps(said) if said else "")
    return (*row_of(record), *asked, *file, record["operating_point"], record["settings"], raw)


def from_cells(cells: Mapping[str, Any]) -> ScanRecord:
    """Rebuild a record from its cells, which are texts or have their types.

    Raises:
        ValueError: They are not cells of a record.
        KeyError: A column is missing.
    """
    error = {"code": cells["error"], "message": cells["message"]} if cells["error"] else None
    record: ScanRecord = {
        "input": os.fsdecode(bytes.fromhex(cells["input_hex"])) if cells["input_hex"] else cells["input"],
        "verdict": cells["verdict"] or None,
        "p_ai": _float(cells["p_ai"]),
        "scores": json.loads(cells["scores"]) if cells["scores"] else None,
        "face_probability": _float(cells["face_probability"]),
        "warnings": cells["warnings"].split(),
        "model": cells["model"],
        "device": cells["device"],
        "fallback": None,
        "error": error,  # type: ignore[typeddict-item]
        "size": _int(cells["size"]),
        "mtime_ns": _int(cells["mtime_ns"]),
        "sha256": cells["sha256"] or None,
        "duplicate_of": cells["duplicate_of"] or None,
        "operating_point": cells["operating_point"],
        "settings": cells["settings"],
    }
    if cells["explanation"]:
        record["explanation"] = cells["explanation"]
    if cells["provenance"]:
        record["provenance"] = json.loads(cells["provenance"])
    return record


def _float(text: str | float | None) -> float | None:
    return None if text in ("", None) else float(text)


def _int(text: str | int | None) -> int | None:
    return None if text in ("", None) else int(text)


class Codec(ABC):
    """How records become lines of a file.

    Attributes:
        name: Name of the format for messages.
        header: First line of the file, with its line feed; empty where there is none.
        start: Bytes that a file of this format begins with.
    """

    name: str
    header: bytes
    start: bytes

    @abstractmethod
    def encode(self, record: ScanRecord) -> bytes:
        """Return one line, with its line feed."""

    @abstractmethod
    def decode(self, line: bytes) -> ScanRecord:
        """Return the record of a line.

        Raises:
            ValueError: It is none of a scan.
        """


class JsonLines(Codec):
    """A JSON object a line."""

    name, header, start = "JSONL", b"", b'{"input": '

    def encode(self, record: ScanRecord) -> bytes:
        """Return one line; what a file name has that is not UTF-8 is escaped as Python's `os.fsencode` reads it."""
        return json.dumps(record).encode() + b"\n"

    def decode(self, line: bytes) -> ScanRecord:
        """Return the record of a line."""
        record: ScanRecord = json.loads(line)
        if not isinstance(record, dict) or not {"input", "verdict", "error", *_ADDED} <= record.keys():
            raise ValueError("no record of a scan")
        return record


class Csv(Codec):
    """A row of a table a line, for no cell has a line feed in it."""

    def __init__(self) -> None:
        self.name, self.header = "CSV", _csv_line(SCAN_COLUMNS)
        self.start = self.header

    def encode(self, record: ScanRecord) -> bytes:
        """Return one line."""
        return _csv_line(cells_of(record))

    def decode(self, line: bytes) -> ScanRecord:
        """Return the record of a line."""
        (cells,) = csv.reader([line.decode()])
        try:
            return from_cells(dict(zip(SCAN_COLUMNS, cells, strict=True)))
        except KeyError as error:
            raise ValueError("no record of a scan") from error


def _csv_line(cells: tuple[Cell, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()

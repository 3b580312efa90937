"""Answers as records, with what is asked for besides, and as rows of a table that a spreadsheet shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from .text import printable

if TYPE_CHECKING:
    from .prediction import Failure, Prediction, Record

Cell: TypeAlias = str | int | float | None

COLUMNS = (
    *("input", "verdict", "p_ai", "scores", "model", "device"),
    *("error", "message", "face_probability", "warnings"),
)

_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their full-width forms


@dataclass(frozen=True, slots=True)
class Extras:
    """What records say besides; a failure has the same keys and columns, without a value.

    Attributes:
        why: The sentence on why the verdict is what it is.
        provenance: All that the file says of itself.
    """

    why: bool = False
    provenance: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a table, these behind the others."""
        said = ("credentials", "issuer", "findings") if self.provenance else ()
        return (*COLUMNS, *(("explanation",) if self.why else ()), *said)

    def record_of(self, answer: Prediction | Failure) -> Record:
        """Return an answer's record."""
        record = answer.to_record()
        if self.why:
            record["explanation"] = answer.explanation if answer.error is None else None
        if self.provenance:
            record.setdefault("provenance", None)
        return record

    def row_of(self, record: Record) -> tuple[Cell, ...]:
        """Return a record's cells in the order of `columns`."""
        because = (cell(record["explanation"] or ""),) if self.why else ()
        return (*row_of(record), *because, *(_said(record) if self.provenance else ()))


NO_EXTRAS = Extras()


def row_of(record: Record) -> tuple[Cell, ...]:
    """Return a record's cells in the order of `COLUMNS`."""
    error = record["error"] or {"code": "", "message": ""}
    scores = json.dumps(record["scores"]) if record["scores"] else ""
    row = (cell(record["input"]), record["verdict"], record["p_ai"], scores, record["model"], record["device"])
    faces = (record["face_probability"], " ".join(record["warnings"]))
    return (*row, error["code"], cell(error["message"]), *faces)


def cell(text: str) -> str:
    """Return a text that takes one line and that no spreadsheet runs as a formula: after `'` it is a text to them."""
    text = printable(text)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and text != "-" else text


def _said(record: Record) -> tuple[Cell, ...]:
    """Return the cells that say what a file says; empty ones of a photo that failed."""
    provenance = record["provenance"]
    if provenance is None:
        return ("", "", "")
    credentials = provenance["credentials"]
    return (credentials["state"], cell(credentials["issuer"] or ""), json.dumps(provenance["findings"]))

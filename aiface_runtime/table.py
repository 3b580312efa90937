"""A record as a row of a table, in which a spreadsheet shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

from .prediction import Record
from .text import printable

if TYPE_CHECKING:
    from .provenance import ProvenanceRecord

Cell: TypeAlias = str | int | float | None

COLUMNS = (
    *("input", "verdict", "p_ai", "scores", "model", "device"),
    *("error", "message", "face_probability", "warnings"),
)

_PROVENANCE = ("credentials", "issuer", "findings")

_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their full-width forms


def columns(*, provenance: bool = False) -> tuple[str, ...]:
    """Return the columns of a table, with those of what files themselves say behind the others."""
    return (*COLUMNS, *_PROVENANCE) if provenance else COLUMNS


def row_of(record: Record) -> tuple[Cell, ...]:
    """Return a record's cells in the order of `columns`."""
    error = record["error"] or {"code": "", "message": ""}
    scores = json.dumps(record["scores"]) if record["scores"] else ""
    row = (cell(record["input"]), record["verdict"], record["p_ai"], scores, record["model"], record["device"])
    faces = (record["face_probability"], " ".join(record["warnings"]))
    said = _said(record["provenance"]) if "provenance" in record else ()
    return (*row, error["code"], cell(error["message"]), *faces, *said)


def _said(provenance: ProvenanceRecord | None) -> tuple[Cell, ...]:
    """Return the cells that say what a file says; empty ones of a photo that failed."""
    if provenance is None:
        return ("",) * len(_PROVENANCE)
    credentials = provenance["credentials"]
    return (credentials["state"], cell(credentials["issuer"] or ""), json.dumps(provenance["findings"]))


def cell(text: str) -> str:
    """Return a text that takes one line and that no spreadsheet runs as a formula: after `'` it is a text to them."""
    text = printable(text)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and text != "-" else text

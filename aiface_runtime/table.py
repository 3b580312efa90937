"""A record as a row of a table, in which a spreadsheet shows it."""

from __future__ import annotations

import json
from typing import TypeAlias

from .prediction import Record
from .text import printable

Cell: TypeAlias = str | int | float | None

COLUMNS = (
    *("input", "verdict", "p_ai", "scores", "model", "device"),
    *("error", "message", "face_probability", "warnings"),
)

_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their full-width forms


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

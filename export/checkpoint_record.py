"""The record beside a checkpoint or training photos: how they were made, kept as `aiface.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_RECORD = "aiface.json"  # what is known of a folder that this package wrote


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Keep what is known of a folder beside what is in it; the export carries it on into the model's manifest."""
    (folder / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read_record(folder: Path) -> dict[str, Any]:
    """What `write_record` kept; empty where there is nothing."""
    file = folder / _RECORD
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return record


def commands_of(folders: Sequence[Path]) -> list[str]:
    """The commands that made these folders, as far as they were kept, each once and in order."""
    records = [record for folder in folders if (record := read_record(folder))]
    return list(dict.fromkeys(command for record in records for command in record["training"]["commands"]))

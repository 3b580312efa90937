"""What training keeps of labelled photos: the record beside them, and the train and val splits."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiface_export.errors import DataError
from aiface_export.samples import LABELS, Sample

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


def train_and_val(samples: Sequence[Sample], seed: int, val_share: float = 0.1) -> tuple[list[Sample], list[Sample]]:
    """The train and val splits; where the data names none, `val_share` of each class is held out by the seed."""
    train = [sample for sample in samples if sample.split == "train"]
    val = [sample for sample in samples if sample.split == "val"]
    unsplit = [sample for sample in samples if not sample.split]
    share = 0.0 if val else val_share
    for label in LABELS:
        group = [sample for sample in unsplit if sample.label == label]
        random.Random(seed).shuffle(group)  # noqa: S311
        held_out = math.ceil(share * len(group))
        val, train = val + group[:held_out], train + group[held_out:]
    for name, split in (("train", train), ("val", val)):
        if {sample.label for sample in split} != set(LABELS):
            raise DataError(f"the {name} split needs photos of both labels, real and ai")
    return train, val

"""`aiface.json`, the record beside a checkpoint or training photos: how they were made, and how to use them.

Training writes it, and the export carries it on into the model's manifest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, get_args

from aiface_evaluation.errors import DataError
from aiface_evaluation.records.calibration_record import CalibrationRecord
from aiface_evaluation.records.fitted_points import FittedPoint, read_points
from aiface_evaluation.records.json_record import JsonRecord
from aiface_runtime.steps import FILTERS, Filter

Channels: TypeAlias = Literal["rgb", "bgr"]
CHANNELS: tuple[Channels, ...] = get_args(Channels)

_FILE = "aiface.json"


@dataclass(frozen=True, kw_only=True)
class FaceThresholds(JsonRecord):
    """Thresholds of a face head; all are 0 to 1.

    Attributes:
        present_from: Probability of the likeliest cell from which on there is a face.
        cell_from: Probability from which on a cell counts as covered by a face.
        small_below: Share of the input's cells below which the largest face counts as small.
        fitted_on: Description of the photos that they were chosen on; None where nothing is stated.
    """

    present_from: float
    cell_from: float
    small_below: float
    fitted_on: str | None = None

    @classmethod
    def from_json(cls, values: Any, name: str = "faces") -> Self:
        """Read what `to_json` gives.

        Args:
            values: The parsed JSON.
            name: Name of its file, for messages.

        Raises:
            DataError: They are no such thresholds, or not 0 to 1.
        """
        record = super().from_json(values, name)
        for key in ("present_from", "cell_from", "small_below"):
            if not 0 <= getattr(record, key) <= 1:
                raise DataError(f"{name}: {key} is {getattr(record, key)}, not 0 to 1")
        return record


@dataclass(frozen=True, kw_only=True)
class CheckpointRecord(JsonRecord):
    """What is known of a folder beyond its files.

    Attributes:
        training: Account of its training for the manifest, `commands` among it; empty where unknown.
        calibration: Calibration as the manifest has it; None of a checkpoint that was not calibrated.
        operating_points: Thresholds by name, as the manifest has them; None of a checkpoint that was not calibrated.
        faces: Thresholds of its face head; None of a network without one.
        licence: Licence of the weights; None where nothing is stated.
        limits: Warnings for users of the model; None where there are none.
        file: Name of the file that this record describes, where the folder holds others too.
        labels: Labels in output order, of a file that does not say them itself.
        channels: Order of the network's input channels, `rgb` or `bgr`, of such a file.
        resize: Filter with which photos were squashed to the network's input, of such a file.
    """

    training: Mapping[str, Any] = field(default_factory=dict)
    calibration: CalibrationRecord | None = None
    operating_points: Mapping[str, FittedPoint] | None = None
    faces: FaceThresholds | None = None
    licence: str | None = None
    limits: str | None = None
    file: str | None = None
    labels: tuple[str, ...] = ()
    channels: Channels | None = None
    resize: Filter | None = None

    @property
    def commands(self) -> list[str]:
        """The commands that made it, in order."""
        return list(self.training.get("commands", ()))

    @classmethod
    def from_json(cls, values: Any, name: str = _FILE) -> Self:
        """Read what `to_json` gives; keys that are not known here are left out.

        Args:
            values: The parsed JSON.
            name: Name of its file, for messages.

        Raises:
            DataError: It is not such a record.
        """
        kinds = {"training": dict, "calibration": dict, "operating_points": dict, "faces": dict, "labels": list}
        if not isinstance(values, dict):
            raise DataError(f"{name}: not a record that aiface-train wrote; make it again or remove it")
        known = {item.name: values[item.name] for item in fields(cls) if values.get(item.name) is not None}
        for key, value in known.items():
            if not isinstance(value, kinds.get(key, str)):
                raise DataError(f"{name}: its {key!r} is {type(value).__name__}; make it again or remove it")
        for key, choices in (("channels", CHANNELS), ("resize", FILTERS)):
            if known.get(key, choices[0]) not in choices:
                raise DataError(f"{name}: its {key!r} is {known[key]!r}, not one of {', '.join(choices)}")
        if "calibration" in known:
            known["calibration"] = CalibrationRecord.from_json(known["calibration"], f"{name}: its 'calibration'")
        if "operating_points" in known:
            known["operating_points"] = read_points(known["operating_points"], name)
        if "faces" in known:
            known["faces"] = FaceThresholds.from_json(known["faces"], f"{name}: its 'faces'")
        return cls(**known | {"labels": tuple(known.get("labels", ()))})

    @classmethod
    def read(cls, folder: Path) -> CheckpointRecord:
        """Read the record of a folder; an empty one where there is none.

        Raises:
            DataError: It is not such a record.
        """
        file = folder / _FILE
        if not file.is_file():
            return cls()
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{file}: not JSON ({error}); make it again or remove it") from error
        return cls.from_json(values, str(file))

    def write(self, folder: Path) -> None:
        """Write the record beside what is in the folder."""
        (folder / _FILE).write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")


def commands_of(folders: Sequence[Path]) -> list[str]:
    """Give the commands that made these folders, as far as they were kept, each once and in order.

    Raises:
        DataError: A record cannot be read.
    """
    return list(dict.fromkeys(command for folder in folders for command in CheckpointRecord.read(folder).commands))

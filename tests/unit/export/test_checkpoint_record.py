"""What lies beside a checkpoint is checked on reading, and written as it was read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aiface_evaluation.errors import DataError
from aiface_export.checkpoint_record import CheckpointRecord
from aiface_runtime import Classifier

RATES = {"false_positive_rate": 0.01, "true_positive_rate": 0.9, "uncertain": 0.2}
DOCUMENT: dict[str, Any] = {
    "training": {"commands": ["aiface-train finetune"], "recipe": {"freeze": ["stem"], "seed": 3}},
    "calibration": {"method": "of a file", "slope": 1.5, "ece_after": {"clean": 0.1}, "photos": {"real": 3, "ai": 4}},
    "operating_points": {
        "balanced": {"real_below": 0.2, "ai_from": 0.8, "measured": {"clean": RATES}},
        "plain": {"real_below": 0.5, "ai_from": 0.5},
    },
    "licence": "Apache-2.0",
    "labels": ["real", "ai"],
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    CheckpointRecord.from_json(DOCUMENT).write(tmp_path)
    assert json.loads((tmp_path / "aiface.json").read_text()) == DOCUMENT
    assert CheckpointRecord.read(tmp_path) == CheckpointRecord.from_json(DOCUMENT)
    assert CheckpointRecord().to_json() == {}


def test_the_bundled_model_s_record_keeps_its_numbers() -> None:
    """Its file has the keys of before version 0.2."""
    document = Classifier(device="cpu").manifest.document
    parts = {key: document[key] for key in ("calibration", "operating_points")}
    record = CheckpointRecord.from_json(parts).to_json()
    assert record["operating_points"] == parts["operating_points"]
    renamed = {"ece_after_by_tier": "ece_after_by_condition"}
    assert record["calibration"] == {renamed.get(key, key): value for key, value in parts["calibration"].items()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"calibration": 3}, "its 'calibration' is int"),
        ({"calibration": {"slope": 1.0}}, "its 'calibration': not of this version .it lacks 'method'"),
        ({"calibration": {"method": "of a file", "ece_after": "low"}}, "ece_after is str"),
        ({"operating_points": {"balanced": {"ai_from": 0.5}}}, "its operating point 'balanced': .* lacks 'real_below'"),
        ({"operating_points": {"balanced": DOCUMENT["calibration"]}}, "its operating point 'balanced'"),
        ({"channels": "grey"}, "its 'channels' is 'grey'"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        CheckpointRecord.from_json({**DOCUMENT, **change})
    assert str(caught.value).startswith("aiface.json: ")
    assert "\n" not in str(caught.value)

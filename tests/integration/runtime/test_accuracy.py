"""The bundled model on real faces that it was not trained on, through the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.metrics import roc_auc_score


def test_auc_on_val_is_what_the_manifest_says(shared_data: Path) -> None:
    command = [sys.executable, "-P", "-m", "aiface_runtime", "predict", "--format", "jsonl", str(shared_data / "val")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    target = [Path(record["input"]).parent.name == "ai" for record in records]
    auc = roc_auc_score(target, [record["p_ai"] for record in records])
    shown = subprocess.run(
        [sys.executable, "-P", "-m", "aiface_runtime", "models", "show"], capture_output=True, check=True
    )
    val = json.loads(shown.stdout)["evaluation"]["splits"]["val"]
    claimed = val.get("conditions", {"clean": val})["clean"]["overall"]  # models of before the tiers have it at the top
    assert len(records) == claimed["n_real"] + claimed["n_ai"]
    assert auc == pytest.approx(claimed["auc"], abs=0.002)

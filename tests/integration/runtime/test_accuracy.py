"""The bundled model on real faces that it was not trained on, through the command.

Photos are told by their hash: those that lie beside the project change, and the recorded evaluation is of some of them.
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.metrics import roc_auc_score

from aiface_evaluation.records.results import Evaluation

RECORDED = Path(__file__).parents[3] / "docs" / "model" / "evaluation.json"
TOLERANCE = 0.002  # of P(AI): processors round differently


def standard_error(auc: float, n_real: int, n_ai: int) -> float:
    """Hanley & McNeil, "The meaning and use of the area under a ROC curve", 1982."""
    ai_pair, real_pair = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (n_ai - 1) * (ai_pair - auc**2) + (n_real - 1) * (real_pair - auc**2)
    return math.sqrt(spread / (n_real * n_ai))


def test_answers_on_val_are_those_of_the_recorded_evaluation(shared_data: Path) -> None:
    evaluation = Evaluation.from_json(json.loads(RECORDED.read_text(encoding="utf-8")), RECORDED.name)
    recorded = evaluation.photos["val"]
    command = [sys.executable, "-P", "-m", "aiface_runtime", "predict", "--format", "jsonl", str(shared_data / "val")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = {}
    for record in map(json.loads, done.stdout.splitlines()):
        photo = Path(record["input"])
        answers[hashlib.sha256(photo.read_bytes()).hexdigest()[:16]] = (photo.parent.name == "ai", record["p_ai"])
    compared = answers.keys() & recorded.keys()
    if not compared:
        pytest.skip(f"none of the {len(recorded)} recorded val photos is among the {len(answers)} in ../shared/data")
    count = f"compared on {len(compared)} of {len(recorded)} recorded photos"
    difference = max(abs(answers[photo][1] - recorded[photo]) for photo in compared)
    assert difference <= TOLERANCE, count

    target, p_ai = zip(*(answers[photo] for photo in compared), strict=True)
    n_ai, n_real = sum(target), len(target) - sum(target)
    if not n_ai or not n_real:
        pytest.skip(f"{count}, all of one label: no AUC")
    overall = evaluation.splits["val"].conditions["clean"].overall
    (low, high), error = overall.intervals["auc"], standard_error(overall.auc, n_real, n_ai)
    assert low - 3 * error <= roc_auc_score(target, p_ai) <= high + 3 * error, count

"""OpenVINO as a device: by name only, and with the same answers.

In a process of its own: onnxruntime's builds overwrite each other. `make test` puts this one beside the environment and
says where by AIFACE_TEST_OPENVINO.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LOCATION = os.environ.get("AIFACE_TEST_OPENVINO", "")
ANSWER = """
import json, sys
from aiface_runtime import Classifier
report = {"auto": Classifier().device}
for device in ("cpu", "openvino"):
    with Classifier(device=device, threads=2) as classifier:
        answers = classifier.predict_many(sys.argv[1:], on_error="raise")
        report[device] = [(answer.p_ai, answer.verdict, answer.device) for answer in answers]
print(json.dumps(report))
"""


@pytest.mark.skipif(not LOCATION, reason="AIFACE_TEST_OPENVINO does not say where onnxruntime-openvino is")
def test_openvino_gives_the_same_answers(portrait: Path, shared_data: Path) -> None:
    photos = [portrait, *sorted((shared_data / "val").glob("*/*.jpg"))[::62]]
    environment = os.environ | {"PYTHONPATH": LOCATION}
    command = [sys.executable, "-c", ANSWER, *map(str, photos)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["auto"] == "cpu"
    assert {device for _, _, device in report["openvino"]} == {"openvino"}
    differences = [abs(own[0] - other[0]) for own, other in zip(report["cpu"], report["openvino"], strict=True)]
    assert max(differences) <= 0.02, "bfloat16, which it takes where the processor has it, keeps eight bits"
    assert sum(own[1] == other[1] for own, other in zip(report["cpu"], report["openvino"], strict=True)) >= 0.98 * len(
        photos
    )

"""A forked child that does not use the classifier it inherited ends as any other process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CHILD = """
import gc, os, sys
import numpy as np
from aiface_runtime import Classifier
classifier = Classifier(device="cpu", threads=4)
classifier.predict(np.zeros((300, 300, 3), np.uint8))
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
{action}
gc.collect()
sys.exit(7)
"""
ACTIONS = {
    "exits": "pass",
    "closes it": "classifier.close()",
    "leaves it": "with classifier: pass",
    "drops it": "del classifier",
    "loses it to the garbage collector": "holder = [classifier]; holder.append(holder); del classifier, holder",
    "closes it after use": "classifier.predict(np.zeros((9, 9, 3), np.uint8)); classifier.close()",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_child_ends(action: str) -> None:
    command = [sys.executable, "-P", "-c", CHILD.format(action=ACTIONS[action])]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            assert process.wait(timeout=60) == 7
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            raise

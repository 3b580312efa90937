"""A forked child ends as any other process, whether it uses the classifier it inherited or not."""

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


# `expected` is what one process answers; a child that hangs shows by the time limit of the test.
STORM = """
import os, sys, threading
import numpy as np
from aiface_runtime import Classifier
photos = [np.full((300, 300, 3), level, np.uint8) for level in range(0, 240, 30)]
classifier = Classifier(device="cpu", threads=2)
expected = [answer.p_ai for answer in classifier.predict_many(photos, on_error="raise")]
"""
OTHER_THREADS = (
    STORM
    + """
stop = threading.Event()
def work():
    while not stop.is_set():
        {work}
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
codes = []
for number in range(24):
    if not (child := os.fork()):
        with classifier if number % 2 else Classifier(device="cpu", threads=2) as own:
            answers = [answer.p_ai for answer in own.predict_many(photos[:3], on_error="raise")]
        os._exit(0 if np.allclose(answers, expected[:3], atol=1e-5) else 9)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
for thread in threads: thread.join()
sys.exit(7 if codes == [0] * 24 else f"children ended with {{codes}}")
"""
)
OTHER_THREADS_PREDICT = OTHER_THREADS.format(work='list(classifier.predict_many(photos, on_error="raise"))')
OTHER_THREADS_OPEN = OTHER_THREADS.format(work='Classifier(device="cpu", threads=2).predict(photos[0])')
GENERATOR_GOES_ON = (
    STORM
    + """
answers = classifier.predict_many(photos, batch_size=4, on_error="raise")
first = next(answers).p_ai
child = os.fork()
rest = [answer.p_ai for answer in answers]
assert np.allclose([first, *rest], expected, atol=1e-5), (rest, expected)
if not child:
    sys.exit(7)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
)
CHILDREN_OF_CHILDREN = (
    STORM
    + """
for generation in range(5):
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert np.allclose([answer.p_ai for answer in classifier.predict_many(photos)], expected, atol=1e-5)
sys.exit(7)
"""
)


def exit_code(program: str) -> int:
    """Run a program in a session of its own, which is ended as a whole when it hangs."""
    with subprocess.Popen([sys.executable, "-P", "-c", program], start_new_session=True) as process:
        try:
            return process.wait(timeout=240)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            raise


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_child_ends(action: str) -> None:
    assert exit_code(CHILD.format(action=ACTIONS[action])) == 7


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize(
    "program",
    [OTHER_THREADS_PREDICT, OTHER_THREADS_OPEN, GENERATOR_GOES_ON, CHILDREN_OF_CHILDREN],
    ids=["while other threads predict", "while other threads open models", "within a generator", "again and again"],
)
def test_a_child_answers_as_its_parent_does(program: str) -> None:
    assert exit_code(program) == 7

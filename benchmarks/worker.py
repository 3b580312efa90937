"""One subject in a process of its own: `python -m benchmarks.worker MODEL SUBJECT FOLDER THREADS`.

Orders come in as JSON lines on stdin, answers go out on what was stdout; whatever libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, TextIO


def main() -> None:
    """Open the subject, say so, and obey until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    model, name, folder, threads = sys.argv[1:5]
    try:
        start = time.perf_counter()
        from .subjects import SUBJECTS

        subject = SUBJECTS[model][name](Path(folder), int(threads))
        _say(answers, {"opened": time.perf_counter() - start})
        batches: dict[int, Any] = {}
        for line in sys.stdin:
            _say(answers, _obey(subject, json.loads(line), batches))
    except Exception as error:  # noqa: BLE001 a subject that fails is a row of the table
        reason = next(iter(str(error).strip().splitlines()), "")
        _say(answers, {"error": f"{type(error).__name__}: {reason}"[:200]})


def _say(answers: TextIO, word: dict[str, Any]) -> None:
    print(json.dumps(word), file=answers, flush=True)


def _obey(subject: Any, order: dict[str, Any], batches: dict[int, Any]) -> dict[str, Any]:
    burned, start = _cpu(), time.perf_counter()
    found: dict[str, Any] = {}
    if order["do"] == "answer":
        found["p_ai"] = subject.answer(Path(order["file"]))
    elif order["do"] == "run":
        size = order["batch"]
        if size not in batches:
            batches[size] = subject.prepare(size)
            start = time.perf_counter()
        subject.run(batches[size])
    elif order["do"] == "folder":
        found["count"] = subject.answer_all([Path(file) for file in order["files"]])
    elif order["do"] == "paced":
        found["latency"] = _paced(subject, Path(order["file"]), order["every"], order["count"])
    found["seconds"] = time.perf_counter() - start
    found["cpu"] = _cpu() - burned
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def _paced(subject: Any, file: Path, every: float, count: int) -> float:
    """The median of answers to photos that arrive at a steady pace, in seconds."""
    taken = []
    due = time.perf_counter()
    for _ in range(count):
        due += every
        time.sleep(max(0.0, due - time.perf_counter()))
        start = time.perf_counter()
        subject.answer(file)
        taken.append(time.perf_counter() - start)
    return median(taken)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

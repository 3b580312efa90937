"""One subject in a process of its own: `python -m benchmarks.worker MODEL SUBJECT FOLDER THREADS`.

Requests come in as JSON lines on stdin, replies go out on what was stdout; whatever libraries print goes to stderr.
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

from .messages import Answer, Failed, Opened, Reply, Request


def main() -> None:
    """Open the subject, say so, and serve requests until stdin ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    model, name, folder, threads = sys.argv[1:5]
    try:
        start = time.perf_counter()
        from .subjects import SUBJECTS

        subject = SUBJECTS[model][name](Path(folder), int(threads))
        _send(replies, {"opened": time.perf_counter() - start})
        batches: dict[int, Any] = {}
        for line in sys.stdin:
            _send(replies, _reply(subject, json.loads(line), batches))
    except Exception as error:  # noqa: BLE001 a subject that fails is a row of the table
        reason = next(iter(str(error).strip().splitlines()), "")
        _send(replies, {"error": f"{type(error).__name__}: {reason}"[:200]})


def _send(replies: TextIO, reply: Opened | Failed | Reply) -> None:
    print(json.dumps(reply), file=replies, flush=True)


def _reply(subject: Any, request: Request, batches: dict[int, Any]) -> Reply:
    if request["action"] == "run" and request["batch"] not in batches:
        batches[request["batch"]] = subject.prepare(request["batch"])
    cpu_seconds, start = _cpu_seconds(), time.perf_counter()
    answer = _perform(subject, request, batches)
    return {
        **answer,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": _cpu_seconds() - cpu_seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _perform(subject: Any, request: Request, batches: dict[int, Any]) -> Answer:
    match request["action"]:
        case "answer":
            return {"p_ai": subject.answer(Path(request["file"]))}
        case "run":
            subject.run(batches[request["batch"]])
            return {}
        case "folder":
            return {"count": subject.answer_all([Path(file) for file in request["files"]])}
        case "paced":
            return {"latency": _paced(subject, Path(request["file"]), request["every"], request["count"])}
        case action:
            raise ValueError(f"no such action: {action}")


def _paced(subject: Any, file: Path, every: float, count: int) -> float:
    """Return the median latency of answers to photos that arrive at a steady pace, in seconds."""
    latencies = []
    due = time.perf_counter()
    for _ in range(count):
        due += every
        time.sleep(max(0.0, due - time.perf_counter()))
        start = time.perf_counter()
        subject.answer(file)
        latencies.append(time.perf_counter() - start)
    return median(latencies)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

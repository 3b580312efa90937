"""What is measured. Subjects live in processes of their own and take turns; what fails stays as a failure."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from .measurement import Measurement, Measurements, summarise
from .messages import Reply
from .processes import ENVIRONMENT, Comparison, SubjectError, SubjectProcess, Turns
from .subjects import FILE, OURS, pixels_of

_PACE, _PACED_PHOTOS = 0.05, 40  # seconds between photos; photos a round
_COST_SAMPLE, _COST_BATCH = 256, 16  # photos
_WARM_UP_PHOTOS, _WARM_UP_PHOTOS_OTHERS = 64, 8
Replies = Mapping[str, Sequence[Reply]]
Starts = Mapping[str, Callable[[], SubjectProcess]]


def answers(comparison: Comparison, files: Mapping[str, Path], threads: int, rounds: int) -> dict[str, Measurements]:
    """Measure from file to answer, one photo after the other, and how far answers are apart.

    Returns:
        By photo, then by subject.
    """
    columns = {}
    with comparison.turns(threads) as turns:
        for kind, file in files.items():
            replies = turns.repeat(rounds, "answer", file=str(file))
            p_ai = {name: measured[-1]["p_ai"] for name, measured in replies.items()}
            difference = {name: abs(p - p_ai[OURS]) for name, p in p_ai.items()} if OURS in p_ai else {}
            columns[kind] = turns.failures | summarise(_each(replies, "seconds"), difference=difference)
    return columns


def model_only(comparison: Comparison, batches: Sequence[int], threads: int, rounds: int) -> dict[str, Measurements]:
    """Measure the network alone, on pixels that are there already.

    Returns:
        By batch size, then by subject.
    """
    columns = {}
    with comparison.turns(threads) as turns:
        for size in batches:
            replies = turns.repeat(rounds, "run", batch=size)
            columns[str(size)] = turns.failures | summarise(_each(replies, "seconds"))
    return columns


def paced(comparison: Comparison, file: Path, rounds: int) -> Measurements:
    """Measure a photo every 50 ms, each library with its own default threads: latency, and CPU seconds a second."""
    with comparison.turns(0) as turns:
        replies = turns.repeat(rounds, "paced", file=str(file), every=_PACE, count=_PACED_PHOTOS)
    shares = {
        name: float(np.median([reply["cpu_seconds"] / reply["seconds"] for reply in measured]))
        for name, measured in replies.items()
    }
    return turns.failures | summarise(_each(replies, "latency"), cpu_share=shares)


def _each(replies: Replies, key: Literal["seconds", "latency"]) -> dict[str, list[float]]:
    return {name: [reply[key] for reply in taken] for name, taken in replies.items()}


def cold_start(comparison: Comparison, file: Path, rounds: int) -> Measurements:
    """Measure from the start of a process to its first answer, files in the page cache; and its peak memory."""
    failures: Measurements = {}
    seconds: dict[str, list[float]] = {}
    peaks: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for name in comparison.names:
            if name in failures:
                continue
            try:
                measured, peak_mb = _first_answer(comparison, name, file)
            except SubjectError as error:
                failures[name] = Measurement(failed=str(error))
                continue
            if turn:
                seconds.setdefault(name, []).append(measured)
                peaks.setdefault(name, []).append(peak_mb)
    works = {name: measured for name, measured in seconds.items() if name not in failures}
    return failures | summarise(works, peak_mb={name: float(np.median(peak)) for name, peak in peaks.items()})


def _first_answer(comparison: Comparison, name: str, file: Path) -> tuple[float, float]:
    """Return seconds from the start of a process to its first answer, and its peak memory in MB."""
    start = time.perf_counter()
    with comparison.process(name, 0) as process:
        process.wait()
        reply = process.request("answer", file=str(file))
        return time.perf_counter() - start, reply["peak_mb"]


def imports(statements: Mapping[str, str], rounds: int) -> Measurements:
    """Measure what `import …` takes in a fresh interpreter, less what the interpreter takes."""
    failures: Measurements = {}
    seconds: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for name, statement in statements.items():
            bare, _ = _python("pass")
            measured, problem = _python(statement)
            if problem is not None:
                failures[name] = Measurement(failed=problem)
            elif turn:
                seconds.setdefault(name, []).append(max(0.0, measured - bare))
    return summarise({name: measured for name, measured in seconds.items() if name not in failures}) | failures


def _python(statement: str) -> tuple[float, str | None]:
    """Run a statement in a fresh interpreter; return the seconds it took and, where it failed, the last line of why."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", statement], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    measured = time.perf_counter() - start
    return measured, (done.stderr.strip().splitlines() or ["no message"])[-1][:200] if done.returncode else None


def folder_throughput(comparison: Comparison, files: Sequence[Path], rounds: int, others: int) -> Measurements:
    """Measure photos a second over a folder, this library on one core and on two, beside the limit of the machine.

    Args:
        comparison: Model and subjects to compare.
        files: Photos of the folder.
        rounds: Number of times that this library answers the whole folder.
        others: Number of photos for the other subjects, which take longer.
    """
    ours = {f"{OURS}, {cores} core(s)": partial(comparison.process, OURS, cores) for cores in (1, 2)}
    names = [name for name in comparison.names if name != OURS]
    theirs = {name: partial(comparison.process, name, 2) for name in names}
    limit = Measurement(photos_per_second=2 / _cost_of_one(comparison.folder, files))
    return (
        _throughput(ours, files[:_WARM_UP_PHOTOS], files, rounds)
        | _throughput(theirs, files[:_WARM_UP_PHOTOS_OTHERS], files[:others], 1)
        | {"limit, 2 cores": limit}
    )


def _throughput(starts: Starts, warm_up: Sequence[Path], files: Sequence[Path], rounds: int) -> Measurements:
    speeds: dict[str, list[float]] = {}
    with Turns(starts) as turns:
        turns.once("folder", files=[str(file) for file in warm_up])
        for _ in range(rounds):
            for name, reply in turns.once("folder", files=[str(file) for file in files]).items():
                speeds.setdefault(name, []).append(reply["count"] / reply["seconds"])
    measured = {name: Measurement(photos_per_second=float(np.median(speed))) for name, speed in speeds.items()}
    return measured | turns.failures


def _cost_of_one(folder: Path, files: Sequence[Path]) -> float:
    """Return mean seconds of one core a photo: decoding and resizing alone, and the model alone in batches."""
    from aiface_runtime.engine import Engine

    engine = Engine(folder / FILE, "cpu", threads=1)
    sample = files[:: max(1, len(files) // _COST_SAMPLE)]
    start = time.perf_counter()
    pixels = [pixels_of(file, engine.manifest) for file in sample]
    decoding = time.perf_counter() - start
    engine.run(np.stack(pixels[:_COST_BATCH]))
    start = time.perf_counter()
    for index in range(0, len(pixels), _COST_BATCH):
        engine.run(np.stack(pixels[index : index + _COST_BATCH]))
    return (decoding + time.perf_counter() - start) / len(sample)


def size_cost(comparison: Comparison, files: Mapping[int, Path], rounds: int) -> dict[str, Measurements]:
    """Measure from file to answer against the photo's megapixels."""
    return answers(comparison, {str(size): file for size, file in files.items()}, 1, rounds)

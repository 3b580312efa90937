"""What is measured. Subjects live in processes of their own and take turns; what fails stays as a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self, cast

import numpy as np

from aiface_runtime.latency import Timing

from .subjects import OURS, SUBJECTS

_RESAMPLED = 2000
# transformers would import TensorFlow wherever it is installed, which no user of PyTorch waits for.
_ENVIRONMENT = os.environ | {"USE_TF": "0", "USE_FLAX": "0"}
Results = dict[str, dict[str, Any]]


class SubjectError(Exception):
    """A subject's process said what went wrong."""


class Worker:
    """A subject's process.

    Args:
        model: One of `models.NAMES`.
        name: One of its subjects.
        folder: The model's.
        threads: Cores to use; 0 for the library's own default.
    """

    def __init__(self, model: str, name: str, folder: Path, threads: int) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", model, name, str(folder), str(threads)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=_ENVIRONMENT
        )
        self._orders, self._words = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)

    def hear(self) -> dict[str, Any]:
        """Its next word.

        Raises:
            SubjectError: It failed, or went without a word.
        """
        line = self._words.readline()
        word: dict[str, Any] = json.loads(line) if line else {"error": "the process died"}
        if "error" in word:
            raise SubjectError(word["error"])
        return word

    def obey(self, **order: Any) -> dict[str, Any]:
        """Do something and say how long it took.

        Raises:
            SubjectError: It failed.
        """
        try:
            print(json.dumps(order), file=self._orders, flush=True)
        except BrokenPipeError as error:
            raise SubjectError("the process died") from error
        return self.hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _opened(stack: ExitStack, model: str, folder: Path, threads: int, results: Results) -> dict[str, Worker]:
    workers = {}
    for name in SUBJECTS[model]:
        worker = stack.enter_context(Worker(model, name, folder, threads))
        try:
            worker.hear()
            workers[name] = worker
        except SubjectError as error:
            results[name] = {"failed": str(error)}
    return workers


def _in_turn(
    workers: dict[str, Worker], results: Results, rounds: int, order: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each subject once to warm up and then once a round; one that fails is out."""
    for turn in range(rounds + 1):
        for name in list(workers):
            try:
                word = workers[name].obey(**order)
            except SubjectError as error:
                results[name] = {"failed": str(error)}
                del workers[name]
                continue
            if turn:
                yield name, word


def _summed(samples: Mapping[str, Sequence[float]], results: Results) -> Results:
    """Medians with intervals, and ratios to this library with intervals of their own (paired bootstrap of rounds)."""
    ours = np.asarray(samples.get(OURS, ()), dtype=np.float64)
    for name, taken in samples.items():
        if "failed" in results.get(name, {}):
            continue
        timing = Timing.of(taken)
        results[name] = results.get(name, {}) | {"ms": timing.median, "ms_95": [timing.low, timing.high]}
        if len(ours) == len(taken):
            drawn = np.random.default_rng(0).integers(0, len(ours), (_RESAMPLED, len(ours)))
            ratios = np.median(np.asarray(taken)[drawn], axis=1) / np.median(ours[drawn], axis=1)
            low, high = np.percentile(ratios, (2.5, 97.5))
            results[name] |= {"ratio": float(np.median(taken) / np.median(ours)), "ratio_95": [float(low), float(high)]}
    return results


def answers(model: str, folder: Path, files: Mapping[str, Path], threads: int, rounds: int) -> dict[str, Results]:
    """File to answer, one photo after the other; first that the answers are the same."""
    found: dict[str, Results] = {}
    with ExitStack() as stack:
        failures: Results = {}
        workers = _opened(stack, model, folder, threads, failures)
        for kind, file in files.items():
            results = {name: dict(failure) for name, failure in failures.items()}
            samples: dict[str, list[float]] = {}
            said: dict[str, float] = {}
            for name, word in _in_turn(workers, results, rounds, {"do": "answer", "file": str(file)}):
                samples.setdefault(name, []).append(word["seconds"])
                said[name] = word["p_ai"]
            found[kind] = _summed(samples, results)
            for name, p_ai in said.items():
                found[kind][name]["difference"] = abs(p_ai - said.get(OURS, float("nan")))
            failures |= {name: row for name, row in results.items() if "failed" in row}
    return found


def model_only(model: str, folder: Path, batches: Sequence[int], threads: int, rounds: int) -> dict[str, Results]:
    """The network alone, on pixels that are there already."""
    found: dict[str, Results] = {}
    with ExitStack() as stack:
        failures: Results = {}
        workers = _opened(stack, model, folder, threads, failures)
        for size in batches:
            results = {name: dict(failure) for name, failure in failures.items()}
            samples: dict[str, list[float]] = {}
            for name, word in _in_turn(workers, results, rounds, {"do": "run", "batch": size}):
                samples.setdefault(name, []).append(word["seconds"])
            found[str(size)] = _summed(samples, results)
    return found


def paced(model: str, folder: Path, file: Path, rounds: int) -> Results:
    """One photo every 50 ms, with each library's own default threads: latency, and CPU seconds burned a second."""
    results: Results = {}
    every, count = 0.05, 40
    with ExitStack() as stack:
        workers = _opened(stack, model, folder, 0, results)
        latency: dict[str, list[float]] = {}
        burned: dict[str, list[float]] = {}
        order = {"do": "paced", "file": str(file), "every": every, "count": count}
        for name, word in _in_turn(workers, results, rounds, order):
            latency.setdefault(name, []).append(word["latency"])
            burned.setdefault(name, []).append(word["cpu"] / word["seconds"])
    _summed(latency, results)
    for name, shares in burned.items():
        if "failed" not in results[name]:
            results[name]["cpu_share"] = float(np.median(shares))
    return results


def cold_start(model: str, folder: Path, file: Path, rounds: int) -> Results:
    """From the start of a process to its first answer, files in the page cache; and its peak memory."""
    results: Results = {}
    samples: dict[str, list[float]] = {}
    peaks: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for name in SUBJECTS[model]:
            if "failed" in results.get(name, {}):
                continue
            start = time.perf_counter()
            with Worker(model, name, folder, 0) as worker:
                try:
                    worker.hear()
                    word = worker.obey(do="answer", file=str(file))
                except SubjectError as error:
                    results[name] = {"failed": str(error)}
                    continue
                taken = time.perf_counter() - start
            if turn:
                samples.setdefault(name, []).append(taken)
                peaks.setdefault(name, []).append(word["peak_mb"])
    _summed(samples, results)
    for name, measured in peaks.items():
        results[name]["peak_mb"] = float(np.median(measured))
    return results


def imports(packages: Mapping[str, str], rounds: int) -> Results:
    """Seconds that `import …` takes in a fresh interpreter, less what the interpreter takes."""
    samples: dict[str, list[float]] = {}
    results: Results = {}
    for turn in range(rounds + 1):
        for name, statement in packages.items():
            start = time.perf_counter()
            bare = subprocess.run([sys.executable, "-c", "pass"], check=True)
            bare_seconds = time.perf_counter() - start
            start = time.perf_counter()
            command = [sys.executable, "-c", statement]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=_ENVIRONMENT)
            if done.returncode or bare.returncode:
                results[name] = {"failed": (done.stderr.strip().splitlines() or ["no word"])[-1][:200]}
            elif turn:
                samples.setdefault(name, []).append(max(0.0, time.perf_counter() - start - bare_seconds))
    return _summed(samples, results)


def folder_throughput(model: str, folder: Path, files: Sequence[Path], rounds: int, others: int) -> dict[str, Any]:
    """Photos a second over a folder, on one core and on two, beside what decoding and the model allow.

    Args:
        model: As elsewhere.
        folder: As elsewhere.
        files: The photos.
        rounds: How often.
        others: How many of the photos the other subjects get, which take longer.
    """
    results: Results = {}
    speed: dict[str, list[float]] = {}
    with ExitStack() as stack:
        workers = {cores: stack.enter_context(Worker(model, OURS, folder, cores)) for cores in (1, 2)}
        for worker in workers.values():
            worker.hear()
        single = stack.enter_context(Worker(model, OURS, folder, 1))
        single.hear()
        other = _opened(stack, model, folder, 2, results)
        other.pop(OURS, None)
        for turn in range(rounds + 1):
            for cores, worker in workers.items():
                word = worker.obey(do="folder", files=[str(file) for file in (files if turn else files[:64])])
                if turn:
                    speed.setdefault(f"{OURS}, {cores} core(s)", []).append(word["count"] / word["seconds"])
        for turn in range(2):
            some = [str(file) for file in files[: others if turn else 8]]
            for name, worker in list(other.items()):
                try:
                    word = worker.obey(do="folder", files=some)
                except SubjectError as error:
                    results[name] = {"failed": str(error)}
                    del other[name]
                    continue
                if turn:
                    speed.setdefault(name, []).append(word["count"] / word["seconds"])
    for name, found in speed.items():
        results[name] = {"photos_per_second": float(np.median(found))}
    results["limit, 2 cores"] = {"photos_per_second": 2 / _cost_of_one(folder, files)}
    return results


def _cost_of_one(folder: Path, files: Sequence[Path]) -> float:
    """Mean seconds of one core that a photo takes: decoding and resizing alone, and the model alone in batches."""
    from aiface_runtime.engine import Engine
    from aiface_runtime.images import load_scaled
    from aiface_runtime.preprocess import min_decode_size, preprocess

    from .subjects import FILE

    engine = Engine(folder / FILE, "cpu", threads=1)
    some = files[:: max(1, len(files) // 256)]
    start = time.perf_counter()
    pixels = []
    for file in some:
        photo, box = load_scaled(file, min_decode_size(engine.manifest))
        pixels.append(preprocess(photo, engine.manifest.steps, box))
    decoded = time.perf_counter() - start
    engine.run(np.stack(pixels[:16]))
    start = time.perf_counter()
    for place in range(0, len(pixels), 16):
        engine.run(np.stack(pixels[place : place + 16]))
    return (decoded + time.perf_counter() - start) / len(some)


def size_cost(model: str, folder: Path, files: Mapping[int, Path], rounds: int) -> dict[str, Results]:
    """File to answer against the photo's megapixels."""
    return answers(model, folder, {str(size): file for size, file in files.items()}, 1, rounds)

"""One process of the fuzzer: a range of inputs, each made from its number alone, so that each can be made again.

Its standard output has a line of JSON for each finding, and one with the counts at the end. The number of the input in
hand lies in a file, for the process that started this one to read when this one dies.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from aiface_runtime import Classifier
from aiface_runtime.errors import AifaceError, InputError, ManifestError, ModelError
from aiface_runtime.limits import DEFAULT_LIMITS
from aiface_runtime.manifest import parse_manifest
from aiface_runtime.model_file import ModelFile
from aiface_runtime.model_input import model_input
from aiface_runtime.steps import CenterCrop, Resize, ResizeShorter, Step
from tests.fuzz import seeds
from tests.fuzz.mutators import mutated, mutated_json

MAX_SECONDS, MAX_MB = 2.0, 300.0  # processor time, and memory above the resting process
_DEADLINE = 60  # seconds of processor time, after which the process is ended
_CHECKED_EVERY = 500  # inputs after which a good photo must have the answer that it always had
_REFUSALS: dict[str, type[AifaceError]] = {"manifest": ManifestError, "model": ModelError}
_WAYS: tuple[tuple[tuple[Step, ...], tuple[int, int] | None], ...] = (
    ((Resize(224, 224, "bicubic"),), (448, 448)),
    ((ResizeShorter(256, "bilinear"), CenterCrop(224, 224)), None),
    ((Resize(224, 224, "bilinear_no_antialias"),), None),
)


def made(number: int, seed: int) -> tuple[str, bytes, Callable[[], object]]:
    """Make an input.

    Returns:
        Its name, its bytes, and what tries it.
    """
    chance = random.Random(f"{seed}/{number}")
    kind = chance.random()
    if kind < 0.8:
        return _photo(chance)
    text = mutated_json(seeds.manifest(), chance) if kind < 0.95 else seeds.manifest()
    if kind < 0.9:
        if chance.random() < 0.3:
            text = mutated(text.encode(), b'{"a": [1e9, NaN]}', chance).decode("utf-8", "replace")
        return "manifest", text.encode(), lambda: parse_manifest(text, "fuzz")
    data = mutated(seeds.model_file(text.encode()), seeds.model_file(b"{}"), chance)
    return "model", data, lambda: ModelFile(Path("fuzz.onnx"), data).manifest()


def _photo(chance: random.Random) -> tuple[str, bytes, Callable[[], object]]:
    name, data = chance.choice(seeds.photos())
    data = mutated(data, chance.choice(seeds.photos())[1], chance)
    steps, min_size = chance.choice(_WAYS)

    def prepare() -> None:
        made = model_input(data, steps, min_size, DEFAULT_LIMITS)
        if made.pixels.shape != (224, 224, 3) or made.pixels.dtype != np.uint8 or not 0 <= made.findings.missing <= 1:
            raise AssertionError(f"{made.pixels.shape} {made.pixels.dtype} {made.findings}")

    return name, data, prepare


def outcome(name: str, act: Callable[[], object]) -> str:
    """Say what became of an input.

    Raises:
        Exception: A finding: neither an answer nor the error of such an input, in one line.
    """
    try:
        act()
    except _REFUSALS.get(name, InputError) as error:
        if "\n" in str(error) or len(str(error)) > 600:
            raise AssertionError(f"not one line: {error!r}") from error
        return f"{name}: {error.code}"
    return f"{name}: answered"


def main() -> None:
    """Try the inputs from the first number up to the last, which is not tried."""
    seed, first, last = map(int, sys.argv[1:4])
    progress = os.open(sys.argv[4], os.O_WRONLY)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    counts: Counter[str] = Counter()
    with Classifier(device="cpu", threads=1) as classifier:
        good = seeds.photos()[0][1]
        expected, rest = classifier.predict(good).p_ai, _peak_mb()
        for number in range(first, last):
            os.pwrite(progress, str(number).ljust(20).encode(), 0)
            signal.setitimer(signal.ITIMER_PROF, _DEADLINE)
            if found := _finding(number, seed, rest, counts):
                _write({"finding": number, **found})
            if number % _CHECKED_EVERY == 0 and classifier.predict(good).p_ai != expected:
                _write({"finding": number, "problem": "a good photo has another answer after it"})
    _write({"first": first, "last": last, "counts": counts})


def _finding(number: int, seed: int, rest: float, counts: Counter[str]) -> dict[str, str] | None:
    started = time.process_time()
    try:
        name, data, act = made(number, seed)
        found = outcome(name, act)
    except Exception:  # noqa: BLE001 that is what is looked for
        counts["finding"] += 1
        return {"problem": "".join(traceback.format_exc(limit=-4))}
    counts[found] += 1
    seconds, peak = time.process_time() - started, _peak_mb() - rest
    if seconds > MAX_SECONDS or peak > MAX_MB:
        return {"problem": f"{found}: {len(data):,} bytes, {seconds:.1f} s, {peak:.0f} MB"}
    return None


def _peak_mb() -> float:
    """Return the highest memory since the last call, in MB; Linux only, elsewhere 0."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        Path("/proc/self/clear_refs").write_text("5")
        return peak / 1000
    return 0.0


def _write(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

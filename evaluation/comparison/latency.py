"""How long models take for the same photo, measured in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

from aiface_runtime import Classifier
from aiface_runtime.latency import PHOTOS, Timing, encoded, photo, take_turns

from ..records.comparison import Latency

_SIZE = "1024x1024"
PHOTO = f"{_SIZE} JPEG"  # where decoding takes its usual part


def latencies(files: Mapping[str, Path], rounds: int) -> dict[str, Latency]:
    """Measure from file to answer on one thread of the CPU, the models in turn.

    Args:
        files: Model files by name.
        rounds: Number of measurements of each, at least 1.
    """
    data = encoded(photo(*PHOTOS[_SIZE]))
    durations: dict[str, list[float]] = {name: [] for name in files}
    with ExitStack() as stack:
        actions: dict[str, Callable[[], object]] = {}
        for name, file in files.items():
            actions[name] = partial(stack.enter_context(Classifier(file, device="cpu", threads=1)).predict, data)
        for name, seconds in take_turns(actions, rounds):
            durations[name].append(seconds)
    return {name: Latency(**asdict(Timing.of(seconds))) for name, seconds in durations.items()}

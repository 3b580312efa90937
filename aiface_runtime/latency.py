"""How long this machine takes for an answer: what `aiface bench` prints, and how the benchmarks measure."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .arguments import check_count
from .classifier import Classifier
from .engine import Engine
from .errors import UsageError

PHOTOS = {"178x218": (178, 218), "1024x1024": (1024, 1024), "4000x3000": (4000, 3000)}  # width, height
BATCHES = (1, 8, 32)
MAX_ROUNDS = 100_000
_RESAMPLED = 2000  # times, for an interval
_COVERAGE = (2.5, 97.5)  # percentiles: 95 % of the resampled medians


@dataclass(frozen=True)
class Timing:
    """How long something took, in milliseconds.

    Attributes:
        median: Median of all rounds.
        low: Lower end of the median's 95 % interval, by bootstrap.
        high: Upper end of that interval.
        rounds: Number of measurements.
    """

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        """Summarise what single rounds took (percentile bootstrap, Efron 1979).

        Raises:
            UsageError: There is none.
        """
        if not seconds:
            raise UsageError("no round was measured")
        samples = 1000 * np.asarray(seconds, dtype=np.float64)
        drawn = np.random.default_rng(0).choice(samples, (_RESAMPLED, len(samples)))
        low, high = np.percentile(np.median(drawn, axis=1), _COVERAGE)
        return cls(float(np.median(samples)), float(low), float(high), len(samples))


def take_turns(actions: Mapping[str, Callable[[], object]], rounds: int) -> Iterator[tuple[str, float]]:
    """Run each action once a round, in turn, so that whatever else the machine does slows all alike.

    Args:
        actions: Functions to run, by name; each is run once before, to warm up.
        rounds: Number of rounds.

    Yields:
        A name and the seconds that it took.

    Raises:
        UsageError: `rounds` is no number from 1 to `MAX_ROUNDS`.
    """
    check_count("rounds", rounds, MAX_ROUNDS)
    for action in actions.values():
        action()
    for _ in range(rounds):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            yield name, time.perf_counter() - start


def photo(width: int, height: int) -> Image.Image:
    """Make a picture with edges, gradients and grain, which compresses like a photo; the same every time."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (13, 11, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    grain = rng.integers(-6, 7, (height, width, 1), dtype=np.int8)
    return Image.fromarray((smooth.astype(np.int16) + grain).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """Encode an image; JPEG in quality 90 unless the options say otherwise."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 90} if kind == "JPEG" else {}) | options)
    return buffer.getvalue()


def measure(classifier: Classifier, engine: Engine, rounds: int) -> dict[str, Timing]:
    """Measure from file to answer for JPEGs of some sizes, and the model alone for some batches.

    Args:
        classifier: Classifier on the device and with the threads to measure.
        engine: Engine of the same model, device and threads.
        rounds: Number of measurements of each.

    Returns:
        Timings by what was measured; of a batch the time for the whole of it.
    """
    height, width = engine.manifest.height, engine.manifest.width
    files = {f"file to answer, {name} JPEG": encoded(photo(*size)) for name, size in PHOTOS.items()}
    batches = {f"model, batch of {size}": np.stack([np.asarray(photo(width, height))] * size) for size in BATCHES}
    actions: dict[str, Callable[[], object]] = {}
    for name, data in files.items():
        actions[name] = lambda data=data: classifier.predict(data)  # type: ignore[misc]
    for name, batch in batches.items():
        actions[name] = lambda batch=batch: engine.run(batch)  # type: ignore[misc]
    durations: dict[str, list[float]] = {name: [] for name in actions}
    for name, seconds in take_turns(actions, rounds):
        durations[name].append(seconds)
    return {name: Timing.of(seconds) for name, seconds in durations.items()}

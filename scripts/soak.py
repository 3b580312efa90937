"""Predict for a long time by every way in, and see that memory, descriptors and threads stay where they are.

`make soak` runs 100,000 predictions. The exit code is 1 when something grew. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aiface_runtime import Classifier
from aiface_runtime.latency import encoded, photo

_SIZES = ((178, 218), (320, 240), (64, 64))  # of the photos: small, so that the model does most of the work
_BATCHES = (1, 16, 7, 128)
_SAMPLES = 20  # measurements a run
_WARM = 0.25  # share of the run after which nothing may grow
_RSS_TOLERANCE = 0.05


@dataclass(frozen=True)
class Usage:
    """What the process holds.

    Attributes:
        done: Number of predictions so far.
        rss: Resident memory, in MB.
        descriptors: Number of open files.
        threads: Number of threads.
    """

    done: int
    rss: float
    descriptors: int
    threads: int

    @classmethod
    def now(cls, done: int) -> Usage:
        """Measure this process, after its garbage is gone."""
        gc.collect()
        time.sleep(0.1)  # the system may still count a thread that has just ended
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        rss, threads = int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"])
        return cls(done, round(rss, 1), len(list(Path("/proc/self/fd").iterdir())), threads)


def main() -> int:
    """Run, print the measurements as JSON, and say what grew."""
    parser = argparse.ArgumentParser(prog="scripts/soak.py", description="Watch what a long run holds.")
    parser.add_argument("--predictions", type=int, default=5000, metavar="N", help="how many (default: 5000)")
    parser.add_argument("--threads", type=int, metavar="N", help="cores to use (default: what the container allows)")
    args = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        usages = list(soak(args.predictions, list(_inputs(Path(folder))), args.threads))
    grown = _grown([usage for usage in usages if usage.done >= _WARM * args.predictions])
    minutes = round((time.monotonic() - started) / 60, 1)
    report = {"predictions": usages[-1].done, "minutes": minutes, "grown": grown, "usage": [*map(asdict, usages)]}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 1 if grown else 0


def soak(predictions: int, inputs: list[Any], threads: int | None) -> Iterator[Usage]:
    """Predict in batches and one by one in turn, and measure in between.

    Args:
        predictions: Number of answers, failures included, at least.
        inputs: Photos to predict, again and again.
        threads: Cores to use; None for what the container allows.

    Yields:
        What the process holds, about every twentieth of the run, and always after the same way in.
    """
    done, due, supply = 0, 0.0, cycle(inputs)
    with Classifier(device="cpu", threads=threads) as classifier:
        ways = _ways(classifier)
        while done < predictions:
            done += sum(way(supply) for way in ways)
            if done >= min(due, predictions):
                yield Usage.now(done)
                due = done + predictions / _SAMPLES


def _ways(classifier: Classifier) -> list[Callable[[Iterator[Any]], int]]:
    """List ways in; each takes some inputs and returns how many it answered."""

    def batches(size: int) -> Callable[[Iterator[Any]], int]:
        return lambda supply: sum(1 for _ in classifier.predict_many(islice(supply, 2 * size), batch_size=size))

    def single(supply: Iterator[Any]) -> int:
        return sum(_answered(classifier, source) for source in islice(supply, 64))

    def left_early(supply: Iterator[Any]) -> int:
        return sum(1 for _ in islice(classifier.predict_many(islice(supply, 32)), 3))

    return [single, *map(batches, _BATCHES), left_early]


def _answered(classifier: Classifier, source: Any) -> int:
    try:
        classifier.predict(source)
    except ValueError:  # the inputs hold a few that cannot be used
        return 1
    return 1


def _inputs(folder: Path) -> Iterator[Any]:
    """Make photos as files, bytes, streams and arrays, and some that are broken or missing."""
    for number, (width, height) in enumerate(_SIZES):
        data, file = encoded(photo(width, height)), folder / f"{number}.jpg"
        file.write_bytes(data)
        yield from (file, data, _Stream(data), np.asarray(photo(width, height)))
        yield Image.frombytes("RGB", (width, height), photo(width, height).tobytes())
        yield from (data[: len(data) // 2], folder / "missing.jpg", b"no photo")


class _Stream:
    """A binary file that can be read again and again."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int = -1) -> bytes:
        return io.BytesIO(self._data).read(size)


def _grown(usages: list[Usage]) -> list[str]:
    """Say what moved between measurements: memory by more than 5 % of its median, anything else at all."""
    rss = np.array([usage.rss for usage in usages])
    spread = float(np.abs(rss / np.median(rss) - 1).max())
    counts = {name: {getattr(usage, name) for usage in usages} for name in ("descriptors", "threads")}
    return [f"memory, by {spread:.1%}"] * (spread > _RSS_TOLERANCE) + [
        f"{name}: {sorted(values)}" for name, values in counts.items() if len(values) > 1
    ]


if __name__ == "__main__":
    sys.exit(main())

"""Measure how long the network alone takes for a photo, by the number of photos that it runs on at once, on one thread.

    python -m benchmarks.photos_a_run MODEL.onnx… [--rounds N]

`predict_many` runs on as many as the constant of `aiface_runtime.batching` says.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from aiface_runtime.engine import Engine
from aiface_runtime.latency import take_turns

from .page import table

_SIZES = (1, 2, 4, 8, 16)


def main() -> None:
    """Print milliseconds a photo as a table."""
    parser = argparse.ArgumentParser(description="Compare numbers of photos a run")
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    rows = [[str(model), *_row(Engine(model, "cpu", threads=1), args.rounds)] for model in args.models]
    print(table(["photos a run", *map(str, _SIZES)], rows))


def _row(engine: Engine, rounds: int) -> list[str]:
    seconds: dict[str, list[float]] = {}
    for size, taken in take_turns(_runs(engine), rounds):
        seconds.setdefault(size, []).append(taken)
    return [f"{1000 * median(seconds[str(size)]) / size:.1f} ms" for size in _SIZES]


def _runs(engine: Engine) -> dict[str, Callable[[], object]]:
    shape = (max(_SIZES), engine.manifest.height, engine.manifest.width, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return {str(size): partial(engine.run, pixels[:size]) for size in _SIZES}


if __name__ == "__main__":
    main()

"""The conversion of a network to the graph of the model file, by the best of the source's exporters.

The preferred exporter is used unless it refuses the network or another's graph measurably runs or opens faster.
"""

from __future__ import annotations

import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from statistics import median
from typing import TypedDict

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_runtime.manifest import IMAGE, PROBABILITIES

from ..errors import ConversionError
from ..source import Source, first_line
from .assemble import assemble
from .session import open_session

_MAX_LATENCY_RATIO, _MAX_OPEN_RATIO = 1.1, 1.5  # up to which a graph counts as fast as another: timing noise


class Timing(TypedDict):
    """Median milliseconds to open a graph, and to run one photo on one thread once it is warm."""

    open_ms: float
    latency_ms: float


@dataclass(frozen=True)
class ExporterTrial:
    """What one exporter gave.

    Attributes:
        nodes: Number of nodes of its graph; None where it failed.
        timing: Latency of its graph; None where it failed.
        error: Reason of its failure, in one line; None where it did not fail.
    """

    nodes: int | None = None
    timing: Timing | None = None
    error: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return `nodes`, `open_ms` and `latency_ms`, or `error`."""
        return {"nodes": self.nodes, **self.timing} if self.timing else {"error": self.error}


@dataclass(frozen=True)
class Conversion:
    """A converted network.

    Attributes:
        graph: Graph from uint8 `image [N, H, W, 3]` to float32 `probabilities [N, C]` and, of some
            networks, `faces [N, h, w]` and `evidence [N, h, w]`.
        exporter: Name of the exporter that gave it.
        trials: Results of all exporters by name, as the manifest has them.
    """

    graph: onnx.ModelProto
    exporter: str
    trials: Mapping[str, dict[str, object]]

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return next(int(entry.version) for entry in self.graph.opset_import if entry.domain in ("", "ai.onnx"))


def convert(source: Source, temperature: float = 1.0) -> Conversion:
    """Convert by each exporter and keep the best graph, with the temperature in it.

    Raises:
        ConversionError: All refuse.
    """
    size = source.preprocessing.height, source.preprocessing.width
    graphs: dict[str, onnx.ModelProto] = {}
    trials: dict[str, ExporterTrial] = {}
    for name, exporter in source.exporters().items():
        try:
            graphs[name] = _assembled(exporter, source, temperature)
        except Exception as error:  # noqa: BLE001 kept in the trials; exporters fail in every way there is
            trials[name] = ExporterTrial(error=f"{type(error).__name__}: {first_line(error)}")
    if not graphs:
        raise ConversionError(_refusal(source, trials))
    timings = measure(graphs, size)
    trials |= {name: ExporterTrial(len(graph.graph.node), timings[name]) for name, graph in graphs.items()}
    best = _fastest(timings)
    return Conversion(graphs[best], best, {name: trial.to_json() for name, trial in trials.items()})


def _assembled(exporter: Callable[[], onnx.ModelProto], source: Source, temperature: float) -> onnx.ModelProto:
    """Return the graph, once onnxruntime has run it."""
    size = source.preprocessing.height, source.preprocessing.width
    with quiet():
        graph = assemble(exporter(), source, temperature)
    open_session(graph).run(None, {IMAGE: _noise(size)})
    return graph


def _refusal(source: Source, trials: Mapping[str, ExporterTrial]) -> str:
    reasons = "; ".join(f"{name}: {trial.error}" for name, trial in trials.items())
    size = f"{source.preprocessing.width} x {source.preprocessing.height}"
    return (
        f"{source.name}: no exporter takes this network with photos of {size} pixels ({reasons}); "
        "see that this is the size that the network was made for"
    )


def _fastest(timings: Mapping[str, Timing]) -> str:
    """Return the first that is as fast as all others, else the one of the lowest latency."""
    as_fast = [name for name in timings if all(_as_fast(timings[name], other) for other in timings.values())]
    return as_fast[0] if as_fast else min(timings, key=lambda name: timings[name]["latency_ms"])


def _as_fast(timing: Timing, other: Timing) -> bool:
    opens = timing["open_ms"] <= _MAX_OPEN_RATIO * other["open_ms"]
    return opens and timing["latency_ms"] <= _MAX_LATENCY_RATIO * other["latency_ms"]


def measure(graphs: Mapping[str, onnx.ModelProto], size: tuple[int, ...], rounds: int = 9) -> dict[str, Timing]:
    """Time each graph on one photo and one thread; graphs take turns, so that noise hits all.

    Args:
        graphs: Graphs by `assemble`, or variants of one.
        size: Height and width of the input.
        rounds: Times that each graph is opened and run.
    """
    models = {name: graph.SerializeToString() for name, graph in graphs.items()}
    photo = _noise(size)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in graphs}
    for _ in range(rounds):
        for name, model in models.items():
            times[name].append(_open_and_run(model, photo))
    medians = {name: [round(median(column), 2) for column in zip(*rows, strict=True)] for name, rows in times.items()}
    return {name: Timing(open_ms=opened, latency_ms=run) for name, (opened, run) in medians.items()}


def _open_and_run(model: bytes, photo: NDArray[np.uint8]) -> tuple[float, float]:
    """Return milliseconds to open the model, and of its second run."""
    start = time.perf_counter()
    session = open_session(model, threads=1)
    opened = time.perf_counter() - start
    session.run([PROBABILITIES], {IMAGE: photo})  # warms up
    start = time.perf_counter()
    session.run([PROBABILITIES], {IMAGE: photo})
    return 1000 * opened, 1000 * (time.perf_counter() - start)


def _noise(size: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence converters: they warn, log and print, PyTorch a whole traced graph on standard error.

    What counts comes back as an exception.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)

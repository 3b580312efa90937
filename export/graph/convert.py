"""The network → the graph that ships, by whichever of the source's exporters serves it best.

The preferred exporter is kept unless it refuses the network or another's graph measurably runs or opens faster.
"""

from __future__ import annotations

import io
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from aiface_runtime.manifest import IMAGE, PROBABILITIES

from ..errors import ConversionError
from ..source import Source, first_line
from .assemble import assemble

_WORSE = {"latency_ms": 1.1, "open_ms": 1.5}  # ratios from which the other takes over; less is timing noise


@dataclass(frozen=True)
class Conversion:
    """A converted network.

    Attributes:
        graph: From uint8 `image [N, H, W, 3]` to float32 `probabilities [N, C]` and, of some
            networks, `evidence [N, h, w]`.
        exporter: Which exporter made it.
        trials: What each exporter gave: nodes and milliseconds to open it and to run one photo, or its error.
    """

    graph: onnx.ModelProto
    exporter: str
    trials: dict[str, dict[str, object]]

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return next(int(entry.version) for entry in self.graph.opset_import if entry.domain in ("", "ai.onnx"))


def convert(source: Source, temperature: float = 1.0) -> Conversion:
    """Convert by each exporter and keep the best graph, with the temperature in it.

    Raises:
        ConversionError: All refuse.
    """
    graphs: dict[str, onnx.ModelProto] = {}
    trials: dict[str, dict[str, Any]] = {}
    size = source.preprocessing.height, source.preprocessing.width
    for name, exporter in source.exporters().items():
        try:
            with quiet():
                graph = assemble(exporter(), source, temperature)
            measure({name: graph}, size, rounds=1)  # what onnxruntime refuses is no candidate
            graphs[name], trials[name] = graph, {"nodes": len(graph.graph.node)}
        except Exception as error:  # noqa: BLE001 kept in the trials; exporters fail in every way there is
            trials[name] = {"error": f"{type(error).__name__}: {first_line(error)}"}
    if not graphs:
        reasons = "; ".join(f"{name}: {trial['error']}" for name, trial in trials.items())
        height, width = size
        raise ConversionError(
            f"{source.name}: no exporter takes this network with photos of {width} x {height} pixels ({reasons}); "
            "see that this is the size that the network was made for"
        )
    for name, measured in measure(graphs, size).items():
        trials[name] |= measured
    as_good = [name for name in graphs if all(_as_good(trials[name], trials[other]) for other in graphs)]
    best = as_good[0] if as_good else min(graphs, key=lambda name: trials[name]["latency_ms"])
    return Conversion(graphs[best], best, trials)


def _as_good(trial: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(trial[figure] <= ratio * other[figure] for figure, ratio in _WORSE.items())


def measure(
    graphs: Mapping[str, onnx.ModelProto], size: tuple[int, ...], rounds: int = 9
) -> dict[str, dict[str, float]]:
    """Median `open_ms` and `latency_ms` of one photo on one thread; graphs take turns, so that noise hits all.

    Args:
        graphs: From `assemble`, or variants of it.
        size: Height and width of the input.
        rounds: Times that each graph is opened and run.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    models = {name: graph.SerializeToString() for name, graph in graphs.items()}
    photo = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    opened: dict[str, list[float]] = {name: [] for name in graphs}
    ran: dict[str, list[float]] = {name: [] for name in graphs}
    for _ in range(rounds):
        for name, model in models.items():
            start = time.perf_counter()
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            opened[name].append(1000 * (time.perf_counter() - start))
            session.run([PROBABILITIES], {IMAGE: photo})  # warms up
            start = time.perf_counter()
            session.run([PROBABILITIES], {IMAGE: photo})
            ran[name].append(1000 * (time.perf_counter() - start))
    return {
        name: {"open_ms": round(median(opened[name]), 2), "latency_ms": round(median(ran[name]), 2)} for name in graphs
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Converters chat through warnings, logging and print, PyTorch with a whole traced graph on standard error.

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

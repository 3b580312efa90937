"""The choice of a precision: variants are made, measured on photos that they were not fitted on, refused or written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from ..errors import PrecisionError
from ..graph.convert import measure
from ..graph.heads import head_nodes
from ..graph.quantize import WITH_WEIGHTS
from ..options import TRIED_BY_AUTO, VARIANTS, Precision, VariantName, WrittenPrecision
from ..source import first_line
from .evaluator import VariantEvaluator, VariantMetrics, mean_error, probabilities_of
from .precision_report import MAX_AUC_FALL, MIN_AGREEMENT, CandidateReport, PrecisionReport
from .variants import (
    Settings,
    Spared,
    Variant,
    open_variant,
)

_NOISE = 1.1  # a variant must be faster than fp32 by this ratio to be worth its error; less is timing noise
_BLOCKS = 16  # of neighbouring layers, ranked by the error that each alone makes
_RANKED_ON = 8  # photos
_SPARED_BLOCKS = (1, 2, 4, 8)  # how many of the worst blocks are spared, at most half of them

_SPARED: Mapping[Spared, str] = {"in_float": "in float", "in_int8": "in 8 bits"}

_Progress: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """A graph that could be written.

    Attributes:
        graph: Graph in the candidate's precision.
        metrics: Differences from the original's answers.
        settings: Settings by which the graph was made; None where there was nothing to choose.
        in_float: Names of the nodes left in float; None for fp32.
        in_int8: Names of the nodes left in 8 bits, of a variant in 4.
    """

    graph: onnx.ModelProto
    metrics: VariantMetrics
    settings: Settings | None = None
    in_float: tuple[str, ...] | None = None
    in_int8: tuple[str, ...] = ()

    def passes(self, fp32: Candidate) -> bool:
        """Say whether it loses no more than is allowed."""
        auc, auc_of_fp32 = self.metrics.auc, fp32.metrics.auc
        auc_holds = auc is None or auc_of_fp32 is None or auc >= auc_of_fp32 - MAX_AUC_FALL
        faces_hold = self.metrics.face_agreement is None or self.metrics.face_agreement >= MIN_AGREEMENT
        return auc_holds and faces_hold and self.metrics.label_agreement >= MIN_AGREEMENT


@dataclass(frozen=True)
class Choice:
    """The graph to write.

    Attributes:
        graph: Graph in the candidate's precision.
        report: Measurements of this graph and of the other candidates.
    """

    graph: onnx.ModelProto
    report: PrecisionReport


def choose(
    requested: Precision,
    graph: onnx.ModelProto,
    evaluator: VariantEvaluator,
    calibrating: NDArray[np.uint8],
    progress: _Progress,
) -> Choice:
    """Make what was requested, and measure it; of several keep the fastest that is accepted.

    Args:
        requested: `auto` tries those of `TRIED_BY_AUTO`.
        graph: Graph by `assemble`, in fp32.
        evaluator: Measures on held-out photos.
        calibrating: uint8 `[N, height, width, 3]`, other photos, for int8.
        progress: Called with a line before each long step.

    Raises:
        PrecisionError: The requested precision cannot be made, or loses too much.
    """
    fp32 = Candidate(graph, evaluator.measure(graph))
    candidates: dict[WrittenPrecision, Candidate] = {"fp32": fp32}
    problems: dict[WrittenPrecision, PrecisionError] = {}
    for name in VARIANTS:
        if requested == name or (requested == "auto" and name in TRIED_BY_AUTO):
            try:
                candidates[name] = _make(name, fp32, evaluator, calibrating, progress)
            except PrecisionError as error:
                problems[name] = error
    if requested != "auto":
        _check_requested(requested, candidates, problems)
    progress(f"measuring the latency of {' and '.join(candidates)}")
    latency_ms = _latency(candidates, evaluator.pixels.shape[1:3])
    accepted = [name for name, candidate in candidates.items() if name == "fp32" or candidate.passes(fp32)]
    chosen = _fastest(accepted, latency_ms) if requested == "auto" else requested
    reports = {
        name: _report(candidate, latency_ms[name], latency_ms["fp32"], passed=name in accepted)
        for name, candidate in candidates.items()
    }
    problem_lines = {name: str(problem) for name, problem in problems.items()}
    return Choice(candidates[chosen].graph, PrecisionReport(requested, chosen, reports, problem_lines))


def keep(precision: WrittenPrecision, graph: onnx.ModelProto, evaluator: VariantEvaluator) -> Choice:
    """Report on a graph that came in fewer bits and stays as it is.

    Args:
        precision: Precision that it came in.
        graph: Graph by `assemble`.
        evaluator: Measures on held-out photos.
    """
    candidate = Candidate(graph, evaluator.measure(graph))
    latency_ms = _latency({precision: candidate}, evaluator.pixels.shape[1:3])[precision]
    report = _report(candidate, latency_ms, latency_ms, passed=True)
    return Choice(graph, PrecisionReport(precision, precision, {precision: report}))


def _report(candidate: Candidate, latency_ms: float, latency_of_fp32: float, *, passed: bool) -> CandidateReport:
    return CandidateReport(
        passed=passed,
        metrics=candidate.metrics,
        size=candidate.graph.ByteSize(),
        latency_ms=latency_ms,
        latency_ratio=round(latency_ms / latency_of_fp32, 3),
        settings=candidate.settings,
        in_float=candidate.in_float,
        in_int8=candidate.in_int8,
    )


def _latency(candidates: Mapping[WrittenPrecision, Candidate], size: tuple[int, ...]) -> dict[str, float]:
    """Give each candidate's median time for one photo on one thread, in milliseconds."""
    times = measure({name: candidate.graph for name, candidate in candidates.items()}, size)
    return {name: times[name]["latency_ms"] for name in candidates}


def _fastest(names: Sequence[WrittenPrecision], latency_ms: Mapping[str, float]) -> WrittenPrecision:
    best = min(names, key=lambda name: latency_ms[name])
    return best if latency_ms[best] * _NOISE <= latency_ms["fp32"] else "fp32"


def _check_requested(
    requested: WrittenPrecision,
    candidates: Mapping[WrittenPrecision, Candidate],
    problems: Mapping[WrittenPrecision, PrecisionError],
) -> None:
    if requested in problems:
        raise problems[requested]
    if not candidates[requested].passes(candidates["fp32"]):
        raise PrecisionError(_refusal(requested, candidates[requested].metrics, candidates["fp32"].metrics))


def _refusal(name: str, metrics: VariantMetrics, fp32: VariantMetrics) -> str:
    auc = "AUC not measured" if metrics.auc is None else f"AUC {metrics.auc:.4f} against {fp32.auc:.4f} of fp32"
    faces = "" if metrics.face_agreement is None else f", faces found in the same {metrics.face_agreement:.1%}"
    return (
        f"{name} loses too much on {metrics.images} held-out photos: labels equal "
        f"{metrics.label_agreement:.1%}{faces} (at least {MIN_AGREEMENT:.0%}), {auc} (may fall by "
        f"{MAX_AUC_FALL:g}); nothing was written; give --images more like what it will judge, or use "
        "--precision fp32 or auto"
    )


def _make(
    name: VariantName,
    fp32: Candidate,
    evaluator: VariantEvaluator,
    calibrating: NDArray[np.uint8],
    progress: _Progress,
) -> Candidate:
    progress(f"making {name}")
    try:
        if not any(node.op_type in WITH_WEIGHTS for node in fp32.graph.graph.node):
            raise PrecisionError("it has no layers but those that run photo by photo, which stay in float")
        with open_variant(name, fp32.graph, calibrating) as variant:
            candidate = _candidate(variant, (), fp32.graph, evaluator)
            if candidate.passes(fp32):
                return candidate
            left = _SPARED[variant.spared]
            progress(f"{name} loses too much; looking for the layers to leave {left} (it may take minutes)")
            ranked_on = (calibrating if len(calibrating) else evaluator.pixels)[:_RANKED_ON]
            blocks = _rank_blocks(variant, fp32.graph, ranked_on)
            return _spare_blocks(variant, blocks, candidate, fp32, evaluator)
    except Exception as error:  # the library's converters fail in every way there is
        raise PrecisionError(f"{name} cannot be made of this network ({first_line(error)})") from error


def _candidate(
    variant: Variant, spared_blocks: Sequence[Sequence[str]], fp32: onnx.ModelProto, evaluator: VariantEvaluator
) -> Candidate:
    spared = tuple(chain.from_iterable(spared_blocks))
    graph = variant.make(spared)
    left: dict[Spared, tuple[str, ...]] = {"in_float": (), "in_int8": (), variant.spared: spared}
    in_float = (*head_nodes(fp32), *left["in_float"])
    return Candidate(graph, evaluator.measure(graph), variant.settings, in_float, left["in_int8"])


def _spare_blocks(
    variant: Variant,
    blocks: Sequence[Sequence[str]],
    candidate: Candidate,
    fp32: Candidate,
    evaluator: VariantEvaluator,
) -> Candidate:
    """Spare as few blocks as the candidate needs to pass; as many as are allowed where none passes.

    Args:
        variant: Variant that makes the graphs.
        blocks: Names of the nodes of each block, the worst first.
        candidate: Candidate without a spared block, returned where the network has too few of them.
        fp32: Candidate to compare with.
        evaluator: Measures on held-out photos.
    """
    counts = [count for count in _SPARED_BLOCKS if count <= len(blocks) // 2]
    if not counts:
        return candidate
    largest = _candidate(variant, blocks[: counts[-1]], fp32.graph, evaluator)
    if not largest.passes(fp32):  # then fewer blocks do not either
        return largest
    for count in counts[:-1]:
        smaller = _candidate(variant, blocks[:count], fp32.graph, evaluator)
        if smaller.passes(fp32):
            return smaller
    return largest


def _rank_blocks(variant: Variant, graph: onnx.ModelProto, pixels: NDArray[np.uint8]) -> list[list[str]]:
    """Order blocks of neighbouring layers by the error that each makes when it alone is in fewer bits, largest first.

    Measured on the calibrating photos, so that the held-out ones stay out of the choice.
    """
    units = variant.layers
    size = -(-len(units) // _BLOCKS)
    blocks = [list(chain.from_iterable(units[start : start + size])) for start in range(0, len(units), size)]
    expected = probabilities_of(graph, pixels)
    nodes = list(chain.from_iterable(units))
    errors = [
        mean_error(variant.make([node for node in nodes if node not in block]), pixels, expected) for block in blocks
    ]
    return [blocks[index] for index in np.argsort(errors)[::-1]]

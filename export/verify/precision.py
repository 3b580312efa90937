"""Variants in fewer bits: made, measured on photos that they were not fitted on, refused where they lose too much."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from aiface_evaluation.types import Scores
from aiface_runtime.cpu_limits import usable_cores
from aiface_runtime.manifest import IMAGE, PROBABILITIES

from ..errors import PrecisionError
from ..graph.convert import measure, quiet
from ..graph.evidence import head_nodes
from ..graph.quantize import METHODS, layers, to_fp16, to_int8, write_ranges
from ..source import first_line

Precision: TypeAlias = Literal["fp32", "fp16", "int8", "auto"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

LEAST_AGREEMENT = 0.99  # share of held-out photos with the original's likeliest label
MOST_AUC_FALL = 0.002  # against fp32
_NOISE = 1.1  # a variant must be faster than fp32 by this ratio to be worth its error; less is timing noise
_BLOCKS = 16  # of neighbouring layers, ranked by the error that each alone makes
_RANKED_ON = 8  # photos
_ROUNDS = (1, 2, 4, 8)  # how many of the worst blocks are left in float, at most half of them
_BATCH = 16

_Make: TypeAlias = Callable[[Collection[str]], onnx.ModelProto]
_Progress: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class VariantEvaluator:
    """What variants are measured with.

    Attributes:
        pixels: uint8 `[N, height, width, 3]`, held-out photos.
        original: float64 `[N, C]`, the original's probabilities.
        ai_indices: Which of them mean AI-generated.
        targets: int `[N]`, 1 for AI; None where labels are not known.
        unlabelled: Why they are not known.
    """

    pixels: NDArray[np.uint8]
    original: Scores
    ai_indices: Sequence[int]
    targets: NDArray[np.int_] | None
    unlabelled: str

    def figures(self, answers: Scores) -> dict[str, Any]:
        """How far answers, float64 `[N, C]`, are from the original's."""
        valid = np.isfinite(answers).all(axis=1)
        answers = np.where(np.isfinite(answers), answers, 0.0)
        difference = np.abs(answers - self.original).max(axis=1)
        same = valid & (answers.argmax(1) == self.original.argmax(1))
        return {
            "images": len(answers),
            "max_difference": float(difference.max()),
            "mean_difference": float(difference.mean()),
            "label_agreement": float(same.mean()),
            "auc": self._auc(answers),
            "auc_of_original": self._auc(self.original),
        } | ({"auc_not_measured": self.unlabelled} if self.targets is None else {})

    def _auc(self, answers: Scores) -> float | None:
        if self.targets is None:
            return None
        return float(roc_auc_score(self.targets, answers[:, self.ai_indices].sum(axis=1)))


@dataclass
class Candidate:
    """A variant and what was found of it."""

    graph: onnx.ModelProto
    figures: dict[str, Any]
    how: dict[str, Any] = field(default_factory=dict)

    def passes(self, fp32: Candidate) -> bool:
        """Whether it loses no more than is allowed."""
        auc, whole = self.figures["auc"], fp32.figures["auc"]
        kept = auc is None or auc >= whole - MOST_AUC_FALL
        return bool(kept and self.figures["label_agreement"] >= LEAST_AGREEMENT)

    def to_json(self, latency: float, of_fp32: float) -> dict[str, Any]:
        """As the report has it; latencies in milliseconds."""
        measured = {
            "size": self.graph.ByteSize(),
            "latency_ms": latency,
            "latency_ratio": round(latency / of_fp32, 3),
        }
        return self.figures | measured | self.how


@dataclass(frozen=True)
class Choice:
    """The graph to write.

    Attributes:
        graph: Its nodes.
        precision: `fp32`, `fp16` or `int8`.
        report: As the manifest has it: `asked`, `chosen`, `gate` and for each of the `candidates` its figures.
    """

    graph: onnx.ModelProto
    precision: str
    report: dict[str, Any]


def choose(
    asked: Precision,
    graph: onnx.ModelProto,
    evaluator: VariantEvaluator,
    calibrating: NDArray[np.uint8],
    progress: _Progress,
) -> Choice:
    """Make what was asked for, and measure it; of several keep the fastest that stands.

    Args:
        asked: `auto` tries all.
        graph: From `assemble`, in fp32.
        evaluator: Of held-out photos.
        calibrating: uint8 `[N, height, width, 3]`, other photos, for int8.
        progress: Called with a line before each long step.

    Raises:
        PrecisionError: What was asked for cannot be made, or loses too much.
    """
    fp32 = Candidate(graph, evaluator.figures(answers(graph, evaluator.pixels)))
    made: dict[str, Candidate] = {"fp32": fp32}
    problems: dict[str, PrecisionError] = {}
    for name in ("fp16", "int8"):
        if asked in (name, "auto"):
            try:
                with quiet():
                    made[name] = _refined(name, fp32, evaluator, calibrating, progress)
            except Exception as error:  # noqa: BLE001 the library's converters fail in every way there is
                problems[name] = PrecisionError(f"{name} cannot be made of this network ({first_line(error)})")
                problems[name].__cause__ = error
    if asked in problems:
        raise problems[asked]
    if asked != "auto" and not made[asked].passes(fp32):
        raise PrecisionError(_refusal(asked, made[asked], fp32))
    progress(f"measuring the latency of {' and '.join(made)}")
    times = measure({name: candidate.graph for name, candidate in made.items()}, evaluator.pixels.shape[1:3])
    latency = {name: times[name]["latency_ms"] for name in made}
    standing = [name for name, candidate in made.items() if candidate.passes(fp32) or name == "fp32"]
    chosen = _fastest(standing, latency) if asked == "auto" else asked
    report = {
        "asked": asked,
        "chosen": chosen,
        "gate": {"label_agreement_from": LEAST_AGREEMENT, "auc_fall_to": MOST_AUC_FALL},
        "candidates": {
            name: {"passed": name in standing} | candidate.to_json(latency[name], latency["fp32"])
            for name, candidate in made.items()
        }
        | {name: {"passed": False, "problem": str(problem)} for name, problem in problems.items()},
    }
    return Choice(made[chosen].graph, chosen, report)


def _fastest(names: Sequence[str], latency: dict[str, float]) -> str:
    best = min(names, key=lambda name: latency[name])
    return best if latency[best] * _NOISE <= latency["fp32"] else "fp32"


def _refusal(name: str, variant: Candidate, fp32: Candidate) -> str:
    figures = variant.figures
    auc = "AUC not measured" if figures["auc"] is None else f"AUC {figures['auc']:.4f}"
    whole = "" if figures["auc"] is None else f" against {fp32.figures['auc']:.4f} of fp32"
    return (
        f"{name} loses too much on {figures['images']} held-out photos: labels equal "
        f"{figures['label_agreement']:.1%} (at least {LEAST_AGREEMENT:.0%}), {auc}{whole} (may fall by "
        f"{MOST_AUC_FALL:g}); nothing was written; give --images more like what it will judge, or use "
        "--precision fp32 or auto"
    )


def _refined(
    name: str, fp32: Candidate, evaluator: VariantEvaluator, calibrating: NDArray[np.uint8], progress: _Progress
) -> Candidate:
    """The variant, with so many nodes in float as it needs to pass; with the most of them where none passes."""
    progress(f"making {name}")
    with tempfile.TemporaryDirectory() as folder:
        make, how = _maker(name, fp32, calibrating, Path(folder))
        how["in_float"] = head_nodes(fp32.graph)
        variant = _measured(make, [], evaluator, how)
        if variant.passes(fp32):
            return variant
        progress(f"{name} loses too much; looking for the layers to leave in float (it may take minutes)")
        blocks = _worst_first(make, fp32.graph, (calibrating if len(calibrating) else evaluator.pixels)[:_RANKED_ON])
        counts = [count for count in _ROUNDS if count <= len(blocks) // 2]

        def sparing(count: int) -> Candidate:
            return _measured(make, [node for block in blocks[:count] for node in block], evaluator, how)

        if not counts or not (most := sparing(counts[-1])).passes(fp32):
            return most if counts else variant  # where the most does not help, nothing less does
        return next((fewer for count in counts[:-1] if (fewer := sparing(count)).passes(fp32)), most)


def _measured(make: _Make, in_float: Sequence[str], evaluator: VariantEvaluator, how: dict[str, Any]) -> Candidate:
    graph = make(in_float)
    figures = evaluator.figures(answers(graph, evaluator.pixels))
    return Candidate(graph, figures, how | {"in_float": [*how["in_float"], *in_float]})


def _maker(name: str, fp32: Candidate, calibrating: NDArray[np.uint8], folder: Path) -> tuple[_Make, dict[str, Any]]:
    """What makes the variant with some nodes left in float, and how it does."""
    if name == "fp16":
        return (lambda in_float: to_fp16(fp32.graph, in_float=in_float)), {}
    errors: dict[tuple[Any, int], float] = {}
    whole = answers(fp32.graph, calibrating)

    def error(method: Any, bits: int) -> float:
        """On the calibrating photos: those held out stay out of the choice."""
        graph = to_int8(fp32.graph, folder / method, method, weight_bits=bits)
        return float(np.abs(np.nan_to_num(answers(graph, calibrating)) - whole).mean())

    for method in METHODS:
        write_ranges(fp32.graph, calibrating, method, folder / method)
        errors[method, 8] = error(method, 8)
    best, _ = min(errors, key=lambda key: errors[key])
    errors[best, 7] = error(best, 7)
    method, bits = min(errors, key=lambda key: errors[key])
    how = {
        "calibration": method,
        "weight_bits": bits,
        "calibration_images": len(calibrating),
        "mean_difference_by_calibration": {f"{kind}, {b} bits": value for (kind, b), value in errors.items()},
    }
    return (lambda in_float: to_int8(fp32.graph, folder / method, method, weight_bits=bits, in_float=in_float)), how


def _worst_first(make: _Make, graph: onnx.ModelProto, pixels: NDArray[np.uint8]) -> list[list[str]]:
    """Blocks of neighbouring layers, by the error that each makes when it alone is in fewer bits.

    Measured on the calibrating photos, so that the held-out ones stay out of the choice.
    """
    units = layers(graph)
    size = -(-len(units) // _BLOCKS)
    blocks = [list(chain.from_iterable(units[start : start + size])) for start in range(0, len(units), size)]
    whole = answers(graph, pixels)

    def error(block: list[str]) -> float:
        others = [node for unit in units for node in unit if node not in block]
        return float(np.abs(np.nan_to_num(answers(make(others), pixels)) - whole).mean())

    errors = [error(block) for block in blocks]
    return [blocks[place] for place in np.argsort(errors)[::-1]]


def answers(graph: onnx.ModelProto, pixels: NDArray[np.uint8]) -> Scores:
    """A graph's probabilities, float64 `[N, C]`, of uint8 `[N, height, width, 3]`."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 4
    session = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    batches = [session.run([PROBABILITIES], {IMAGE: pixels[n : n + _BATCH]})[0] for n in range(0, len(pixels), _BATCH)]
    return np.concatenate(batches).astype(np.float64)

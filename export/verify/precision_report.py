"""What was measured of each precision that a file could have, as the manifest keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..options import Precision, WrittenPrecision
from .evaluator import VariantMetrics
from .variants import Settings

MIN_AGREEMENT = 0.99  # share of held-out photos with the original's likeliest label
MAX_AUC_FALL = 0.002  # against fp32


@dataclass(frozen=True, kw_only=True)
class CandidateReport:
    """What was measured of one precision.

    Attributes:
        passed: Whether the precision loses no more than is allowed.
        metrics: Differences from the original's answers.
        size: Size of the graph, in bytes.
        latency_ms: Median time for one photo on one thread, in milliseconds.
        latency_ratio: `latency_ms` in units of fp32's.
        settings: Settings by which the graph was made; None where there was nothing to choose.
        in_float: Names of the nodes left in float; None for fp32.
        in_int8: Names of the nodes left in 8 bits, of a variant in 4.
        batch_difference: Largest difference of any probability between batches of several sizes; None where it was
            not written and so not measured.
    """

    passed: bool
    metrics: VariantMetrics
    size: int
    latency_ms: float
    latency_ratio: float
    settings: Settings | None = None
    in_float: tuple[str, ...] | None = None
    in_int8: tuple[str, ...] = ()
    batch_difference: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Give one of the `candidates` as the manifest has it."""
        document = {
            "passed": self.passed,
            **self.metrics.to_json(),
            "size": self.size,
            "latency_ms": self.latency_ms,
            "latency_ratio": self.latency_ratio,
            **(self.settings.to_json() if self.settings else {}),
        }
        if self.in_float is not None:
            document["in_float"] = list(self.in_float)
        if self.in_int8:
            document["in_int8"] = list(self.in_int8)
        return document if self.batch_difference is None else document | {"batch_difference": self.batch_difference}


@dataclass(frozen=True)
class PrecisionReport:
    """How a file's precision was chosen.

    Attributes:
        requested: Precision that the user asked for.
        chosen: Precision that was written.
        candidates: Measurements of each precision that could be made, fp32 first.
        problems: Reasons why the others could not be made, one line each.
    """

    requested: Precision
    chosen: WrittenPrecision
    candidates: Mapping[WrittenPrecision, CandidateReport]
    problems: Mapping[WrittenPrecision, str] = field(default_factory=dict)

    def with_batch_difference(self, difference: float) -> PrecisionReport:
        """Give the report with what the runtime measured of the chosen candidate."""
        chosen = replace(self.candidates[self.chosen], batch_difference=difference)
        return replace(self, candidates={**self.candidates, self.chosen: chosen})

    def to_json(self, held_out: str) -> dict[str, Any]:
        """Give `precision` as the manifest has it.

        Args:
            held_out: Description of the photos that it was measured on.
        """
        problems = {name: {"passed": False, "problem": problem} for name, problem in self.problems.items()}
        return {
            "requested": self.requested,
            "chosen": self.chosen,
            "gate": {"label_agreement_from": MIN_AGREEMENT, "auc_fall_to": MAX_AUC_FALL},
            "candidates": {name: candidate.to_json() for name, candidate in self.candidates.items()} | problems,
            "held_out": held_out,
        }

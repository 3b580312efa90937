"""What was measured to make a model's errors more frequent, and what was not, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .json_record import JsonRecord
from .results import Interval


@dataclass(frozen=True, kw_only=True)
class ErrorRatio(JsonRecord):
    """How much more frequent errors are where something holds.

    Attributes:
        n: Number of answers where it holds, of those that can be such an error.
        rate: Share of errors among them, 0 to 1; 0 where there are none.
        otherwise: Share of errors where it does not hold, of photos that were not changed for it.
        ratio: The one over the other; None where one of them cannot be told.
        interval: Interval of the ratio, 95 %, by a bootstrap of the sources; None where it cannot be told.
    """

    n: int
    rate: float
    otherwise: float
    ratio: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate(JsonRecord):
    """A reason that was tried.

    Attributes:
        reason: Name of the reason.
        holds: Text that says when it holds.
        limit: Limit that it holds by; None where it has a definition of its own.
        n: Number of answers where it holds.
        n_changed: Number of those that are of photos changed for the purpose.
        verdicts: Errors among verdicts that are not uncertain.
        sides: Errors by the side of 0.5 that P(AI) is on, among all.
        offered: Error by which it is a reason that is offered, `verdicts` or `sides`; empty where it is none.
    """

    reason: str
    holds: str
    limit: float | None = None
    n: int
    n_changed: int
    verdicts: ErrorRatio
    sides: ErrorRatio
    offered: str = ""


@dataclass(frozen=True, kw_only=True)
class ReasonReport(JsonRecord):
    """What makes a model's errors more frequent.

    Attributes:
        model: Name of the model.
        command: Command line that measured it; empty for a call from Python.
        operating_point: Name of the thresholds.
        measured_on: Text that says on which photos.
        candidates: Every reason that was tried, with each limit.
        changes: Errors on photos changed on purpose, by the name of the change, against the same photos unchanged.
        left_out: Number of photos that could not be decoded, and count nowhere.
    """

    model: str
    command: str
    operating_point: str
    measured_on: str
    candidates: tuple[Candidate, ...]
    changes: Mapping[str, tuple[ErrorRatio, ErrorRatio]]
    left_out: int = 0

    @property
    def rules(self) -> dict[str, Candidate]:
        """The reasons that are offered, by name."""
        return {candidate.reason: candidate for candidate in self.candidates if candidate.offered}

"""Why an answer is as it is, in one plain sentence; nothing is computed that the answer does not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer was judged by.

    Attributes:
        operating_point: Name of the thresholds.
        real_below: Threshold on `p_ai`, 0 to 1, below which the verdict is real.
        ai_from: Threshold on `p_ai`, 0 to 1, from which on it is AI.
    """

    operating_point: str
    real_below: float
    ai_from: float


def sentence(verdict: str, p_ai: float, warnings: Sequence[str], basis: Basis | None) -> str:
    """Say in one sentence why a verdict is what it is."""
    if basis is None:
        return f"p_ai {p_ai:.2f} gave the verdict {verdict}."
    return f"p_ai {p_ai:.2f} at the thresholds {basis.real_below:.2f} and {basis.ai_from:.2f} gave {verdict}."

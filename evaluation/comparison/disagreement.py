"""How differently two models judge the same photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from aiface_runtime.manifest import OperatingPoint
from aiface_runtime.prediction import Verdict

from ..dataset import Sample
from ..metrics import share_interval
from ..names import ALL
from ..records.comparison import Disagreement
from ..records.headline import Estimate
from ..types import Scores

_VERDICTS = (Verdict.AI, Verdict.UNCERTAIN, Verdict.REAL)
_NEAREST = float(np.finfo(np.float32).eps)  # to 0 and 1 in float32, so that log-odds are finite


def verdicts(p_ai: Scores, point: OperatingPoint) -> NDArray[np.str_]:
    """Give the verdict on each photo, as the runtime does."""
    return np.where(p_ai >= point.ai_from, Verdict.AI, np.where(p_ai < point.real_below, Verdict.REAL, "uncertain"))


def disagreements(
    samples: Sequence[Sample],
    p_ai: tuple[Scores, Scores],
    points: tuple[OperatingPoint, OperatingPoint],
) -> dict[str, Disagreement]:
    """Compare two models' answers to N photos.

    Args:
        samples: The photos.
        p_ai: float64 `[N]` of each model.
        points: Thresholds of each model.

    Returns:
        Disagreement by group: `all`, `real`, and the kinds of AI photos, `ai` where the data does not say.
    """
    target = np.array([sample.target for sample in samples])
    names = np.array([sample.kind or sample.label for sample in samples])
    groups = {ALL: np.full(len(samples), True)} | {
        name: names == name for name in sorted(set(names.tolist()), key=_order)
    }
    called = (verdicts(p_ai[0], points[0]), verdicts(p_ai[1], points[1]))
    return {
        name: _disagreement(target[chosen], (p_ai[0][chosen], p_ai[1][chosen]), (called[0][chosen], called[1][chosen]))
        for name, chosen in groups.items()
    }


def _order(name: str) -> tuple[bool, str]:
    return name != "real", name


def _disagreement(
    target: NDArray[np.int_], p_ai: tuple[Scores, Scores], called: tuple[NDArray[np.str_], NDArray[np.str_]]
) -> Disagreement:
    first, second = called
    opposite = (first != second) & (first != Verdict.UNCERTAIN) & (second != Verdict.UNCERTAIN)
    first_right = opposite & (first == np.where(target == 1, Verdict.AI, Verdict.REAL))
    return Disagreement(
        n=len(target),
        verdicts={
            one: {other: int(((first == one) & (second == other)).sum()) for other in _VERDICTS} for one in _VERDICTS
        },
        opposite=_share(int(opposite.sum()), len(target)),
        first_right=_share(int(first_right.sum()), int(opposite.sum())) if opposite.any() else None,
        correlation=_correlation(*p_ai),
    )


def _share(count: int, total: int) -> Estimate:
    return Estimate(value=count / total, interval=share_interval(count, total))


def _correlation(first: Scores, second: Scores) -> float | None:
    odds = [logit(np.clip(p_ai, _NEAREST, 1 - _NEAREST)) for p_ai in (first, second)]
    if any(np.ptp(values) == 0 for values in odds):
        return None
    return float(np.corrcoef(odds)[0, 1])

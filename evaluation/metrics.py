"""How well scores tell two labels apart, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiface_runtime.manifest import OperatingPoint

from .types import Scores

_RESAMPLES, _SEED, _CONFIDENCE = 1000, 0, 0.95
_RARE = 0.01  # the false positive rate that TPR is read at
_ROC_AT = np.concatenate([[0.0], np.geomspace(0.002, 1.0, 28)])  # enough for a plot, few enough for a manifest

Counts = NDArray[np.int64]


def figures(target: NDArray[np.int_], p_ai: Scores) -> dict[str, float]:
    """Figures of scores, AI being called from 0.5 on.

    Args:
        target: int `[N]`, 0 for real, 1 for AI; both occur.
        p_ai: float64 `[N]`, 0 to 1.

    Returns:
        `n_real`, `n_ai`, and `accuracy`, `balanced_accuracy`, `f1` (of AI), `auc` and `tpr_at_1_fpr`, all 0 to 1.
    """
    called_ai = p_ai >= 0.5
    right = called_ai == target
    found = separation(p_ai[target == 0], p_ai[target == 1])
    return {
        "n_real": int((target == 0).sum()),
        "n_ai": int((target == 1).sum()),
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(found["balanced_accuracy"][0]),
        "f1": float(2 * (called_ai & right).sum() / (called_ai.sum() + target.sum())),
        "auc": float(found["auc"][0]),
        "tpr_at_1_fpr": float(found["tpr_at_1_fpr"][0]),
    }


def separation(
    real: Scores, ai: Scores, real_counts: Counts | None = None, ai_counts: Counts | None = None
) -> dict[str, Scores]:
    """AUC, balanced accuracy and TPR at 1 % FPR of B resamples at once.

    Args:
        real: float64 `[R]`, P(AI) of the real photos.
        ai: float64 `[A]`, of the AI photos.
        real_counts: int `[B, R]`, how often each occurs in a resample; None for each once, and B = 1.
        ai_counts: int `[B, A]`, the same.

    Returns:
        float64 `[B]` each.
    """
    real_order, ai_order = np.argsort(real), np.argsort(ai)
    real, ai = real[real_order], ai[ai_order]
    reals = np.ones((1, len(real)), dtype=np.int64) if real_counts is None else real_counts[:, real_order]
    ais = np.ones((1, len(ai)), dtype=np.int64) if ai_counts is None else ai_counts[:, ai_order]
    below = np.pad(reals.cumsum(axis=1), ((0, 0), (1, 0)))  # [B, R + 1]: real photos before each place
    beaten = below[:, np.searchsorted(real, ai, "left")] + below[:, np.searchsorted(real, ai, "right")]  # ties: a half
    right = [reals[:, real < 0.5].sum(axis=1) / reals.sum(axis=1), ais[:, ai >= 0.5].sum(axis=1) / ais.sum(axis=1)]
    return {
        "auc": (ais * beaten).sum(axis=1) / (2 * reals.sum(axis=1) * ais.sum(axis=1)),
        "balanced_accuracy": (right[0] + right[1]) / 2,
        "tpr_at_1_fpr": _tpr(real, ai, reals, ais, _RARE),
    }


def _tpr(real: Scores, ai: Scores, reals: Counts, ais: Counts, rate: float) -> Scores:
    """float64 `[B]`: share of AI above the lowest threshold that keeps the rate; scores come sorted."""
    allowed = np.floor(rate * reals.sum(axis=1) + 1e-9)
    too_many = reals[:, ::-1].cumsum(axis=1) > allowed[:, None]
    threshold = np.where(too_many.any(axis=1), real[::-1][too_many.argmax(axis=1)], -1.0)
    from_top = np.pad(ais[:, ::-1].cumsum(axis=1), ((0, 0), (1, 0)))  # [B, A + 1]
    above = len(ai) - np.searchsorted(ai, threshold, "right")
    found: Scores = np.take_along_axis(from_top, above[:, None], axis=1)[:, 0] / ais.sum(axis=1)
    return found


def roc(real: Scores, ai: Scores) -> list[list[float]]:
    """The curve at some rates: `[[false positive rate, true positive rate], …]`."""
    once = [np.ones((1, len(scores)), dtype=np.int64) for scores in (real, ai)]
    real, ai = np.sort(real), np.sort(ai)
    return [[float(rate), float(_tpr(real, ai, once[0], once[1], rate)[0])] for rate in _ROC_AT]


def intervals(real: Scores, ai: Scores) -> dict[str, list[float]]:
    """95 % bootstrap intervals, percentiles of 1000 resamples of each label (Efron & Tibshirani 1993).

    Args:
        real: float64 `[R]`, P(AI) of the real photos.
        ai: float64 `[A]`, of the AI photos.

    Returns:
        `[low, high]` of `auc`, `balanced_accuracy` and `tpr_at_1_fpr`.
    """
    rng = np.random.default_rng(_SEED)
    counts = [rng.multinomial(len(part), np.full(len(part), 1 / len(part)), _RESAMPLES) for part in (real, ai)]
    return {name: _ends(values) for name, values in separation(real, ai, counts[0], counts[1]).items()}


def share_interval(count: int, total: int) -> list[float]:
    """95 % bootstrap interval of a share.

    Where all photos got the same answer every resample is the same too and says nothing of how sure that is; there it
    is the exact interval (Clopper & Pearson 1934).

    Args:
        count: Photos with the answer.
        total: All photos, at least 1.

    Returns:
        `[low, high]`, 0 to 1.
    """
    surely = ((1 - _CONFIDENCE) / 2) ** (1 / total)
    if count == 0:
        return [0.0, 1 - surely]
    if count == total:
        return [surely, 1.0]
    return _ends(np.random.default_rng(_SEED).binomial(total, count / total, _RESAMPLES) / total)


def _ends(values: Scores) -> list[float]:
    return [float(end) for end in np.quantile(values, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])]


def at_points(target: NDArray[np.int_], p_ai: Scores, points: Mapping[str, OperatingPoint]) -> dict[str, Any]:
    """By operating point: `fpr` of the real, `tpr` of the AI photos, and the share of all that is `uncertain`."""
    return {
        name: {
            "fpr": float((p_ai[target == 0] >= point.ai_from).mean()),
            "tpr": float((p_ai[target == 1] >= point.ai_from).mean()),
            "uncertain": float(_unsure(p_ai, point).mean()),
        }
        for name, point in points.items()
    }


def calls(p_ai: Scores, points: Mapping[str, OperatingPoint]) -> dict[str, Any]:
    """By operating point: the shares of one group's photos that are called `ai`, `uncertain` and `real`."""
    return {
        name: {
            "ai": float((p_ai >= point.ai_from).mean()),
            "uncertain": float(_unsure(p_ai, point).mean()),
            "real": float((p_ai < point.real_below).mean()),
        }
        for name, point in points.items()
    }


def _unsure(p_ai: Scores, point: OperatingPoint) -> NDArray[np.bool_]:
    return (p_ai >= point.real_below) & (p_ai < point.ai_from)


def breakdown(
    values: Scores, target: NDArray[np.int_], p_ai: Scores, point: OperatingPoint
) -> list[dict[str, float | None]]:
    """Figures in each quartile of something measured; where many photos share a value there are fewer parts than four.

    Args:
        values: float64 `[N]`, what was measured.
        target: int `[N]`, 0 for real, 1 for AI.
        p_ai: float64 `[N]`.
        point: What calls AI.

    Returns:
        For each part its smallest and largest value, `n_real`, `n_ai`, `fpr`, `tpr` and `auc`; None where a label is
        missing.
    """
    place = np.searchsorted(np.unique(np.quantile(values, [0.25, 0.5, 0.75])), values, side="right")
    parts: list[dict[str, float | None]] = []
    for part in np.unique(place):
        inside = place == part
        real, ai = p_ai[inside & (target == 0)], p_ai[inside & (target == 1)]
        parts.append(
            {
                "from": float(values[inside].min()),
                "to": float(values[inside].max()),
                "n_real": len(real),
                "n_ai": len(ai),
                "fpr": float((real >= point.ai_from).mean()) if len(real) else None,
                "tpr": float((ai >= point.ai_from).mean()) if len(ai) else None,
                "auc": float(separation(real, ai)["auc"][0]) if len(real) and len(ai) else None,
            }
        )
    return parts

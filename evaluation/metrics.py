"""Metrics of scores that tell two labels apart, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from aiface_runtime.manifest import OperatingPoint

from .records.results import BinaryMetrics, Interval, PointRates, QuartilePart, VerdictShares
from .types import Scores

RARE_FPR = 0.01  # the false positive rate that TPR is read at
_RESAMPLES, _SEED, _CONFIDENCE = 1000, 0, 0.95
_INTERVALS_OF = ("accuracy", "auc", "balanced_accuracy", "f1", "tpr_at_1_fpr", "generators_tpr_at_1_fpr")
_ROC_AT = np.concatenate([[0.0], np.geomspace(0.002, 1.0, 28)])  # enough for a plot, few enough for a manifest


def binary_metrics(target: NDArray[np.int_], p_ai: Scores) -> BinaryMetrics:
    """Measure scores, AI being called from 0.5 on.

    Args:
        target: int `[N]`, 0 for real, 1 for AI; both occur.
        p_ai: float64 `[N]`, 0 to 1.
    """
    called_ai = p_ai >= 0.5
    right = called_ai == target
    return BinaryMetrics(
        n_real=int((target == 0).sum()),
        n_ai=int((target == 1).sum()),
        accuracy=float(right.mean()),
        balanced_accuracy=float((right[target == 0].mean() + right[target == 1].mean()) / 2),
        f1=float(2 * (called_ai & right).sum() / (called_ai.sum() + target.sum())),
        auc=float(roc_auc_score(target, p_ai)),
        tpr_at_1_fpr=tpr_at_fpr(target, p_ai, RARE_FPR),
    )


def threshold_at_fpr(target: NDArray[np.int_], scores: Scores, max_fpr: float) -> float:
    """Find the lowest threshold above which at most a share of the real photos lies.

    Args:
        target: int `[N]`, 0 for real, 1 for AI.
        scores: float64 `[N]`, higher for AI, of any range.
        max_fpr: The share, 0 to 1.

    Returns:
        The score that a photo must exceed, not only reach, to be called AI.
    """
    real = np.sort(scores[target == 0])[::-1]
    allowed = int(max_fpr * len(real) + 1e-9)  # 0.05 * 60 is a little less than 3 in some roundings
    return float(real[allowed]) if allowed < len(real) else -np.inf


def tpr_at_fpr(target: NDArray[np.int_], scores: Scores, max_fpr: float) -> float:
    """Give the share of AI photos found at the lowest threshold that keeps a false positive rate.

    Args:
        target: int `[N]`, 0 for real, 1 for AI; both occur.
        scores: float64 `[N]`, higher for AI, of any range.
        max_fpr: Largest share of the real photos that may be called AI, 0 to 1.
    """
    return float((scores[target == 1] > threshold_at_fpr(target, scores, max_fpr)).mean())


def generators_tpr_at_fpr(
    target: NDArray[np.int_], scores: Scores, generators: NDArray[np.str_], max_fpr: float
) -> float:
    """Give the mean over generators of the share of AI photos found, at the threshold that `tpr_at_fpr` takes.

    Args:
        target: int `[N]`, 0 for real, 1 for AI; both occur.
        scores: float64 `[N]`, higher for AI, of any range.
        generators: Name of each photo's generator, `[N]`; empty for a real one or where it is not known. Where none is
            known, the AI photos count as one generator's.
        max_fpr: Largest share of the real photos that may be called AI, 0 to 1.
    """
    found = scores[target == 1] > threshold_at_fpr(target, scores, max_fpr)
    return _mean_over_codes(found, _codes(generators)[target == 1])


def _codes(generators: NDArray[np.str_]) -> NDArray[np.intp]:
    """Give each name a number from 1 on; an empty one gets 0."""
    names, codes = np.unique(generators, return_inverse=True)
    return codes if names[0] == "" else codes + 1


def _mean_over_codes(found: NDArray[np.bool_], codes: NDArray[np.intp]) -> float:
    """Give the mean over codes of the share found; code 0, no known generator, counts only where there is no other."""
    counts, hits = np.bincount(codes), np.bincount(codes, found)
    present = np.flatnonzero(counts)
    known = present[present > 0] if present[-1] else present
    return float((hits[known] / counts[known]).mean())


def roc(target: NDArray[np.int_], p_ai: Scores) -> tuple[tuple[float, float], ...]:
    """Give the ROC curve at some rates: false and true positive rate of each."""
    return tuple((float(rate), tpr_at_fpr(target, p_ai, rate)) for rate in _ROC_AT)


def intervals(target: NDArray[np.int_], p_ai: Scores, generators: NDArray[np.str_]) -> dict[str, Interval]:
    """Give 95 % bootstrap intervals, percentiles of 1000 resamples of each label (Efron & Tibshirani 1993).

    Args:
        target: int `[N]`, 0 for real, 1 for AI; both occur.
        p_ai: float64 `[N]`, 0 to 1.
        generators: Name of each photo's generator, `[N]`, as `generators_tpr_at_fpr` takes it; one that is in none of
            a resample's photos does not count in it.

    Returns:
        Intervals of what `_INTERVALS_OF` names, as `binary_metrics` and `generators_tpr_at_fpr` measure it.
    """
    codes = _codes(generators)
    rng = np.random.default_rng(_SEED)
    labels = [np.flatnonzero(target == label) for label in (0, 1)]
    resamples = []
    for _ in range(_RESAMPLES):
        chosen = np.concatenate([rng.choice(photos, len(photos)) for photos in labels])
        resamples.append(_resampled(target[chosen], p_ai[chosen], codes[chosen]))
    low, high = np.quantile(resamples, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2], axis=0).tolist()
    return dict(zip(_INTERVALS_OF, zip(low, high, strict=True), strict=True))


def _resampled(target: NDArray[np.int_], p_ai: Scores, codes: NDArray[np.intp]) -> tuple[float, ...]:
    """Give what `_INTERVALS_OF` names, AUC by ranks: scikit-learn's checks would take a second an interval."""
    real, ai = np.sort(p_ai[target == 0]), p_ai[target == 1]
    below = np.searchsorted(real, ai, "left") + np.searchsorted(real, ai, "right")  # ties count a half
    accused, caught = int((real >= 0.5).sum()), int((ai >= 0.5).sum())
    found = ai > threshold_at_fpr(target, p_ai, RARE_FPR)
    return (
        (len(real) - accused + caught) / len(target),
        below.mean() / (2 * len(real)),
        (1 - accused / len(real) + caught / len(ai)) / 2,
        2 * caught / (accused + caught + len(ai)),
        float(found.mean()),
        _mean_over_codes(found, codes[target == 1]),
    )


def share_interval(count: int, total: int) -> Interval:
    """Give the exact 95 % interval of a share (Clopper & Pearson 1934), as `scipy.stats.binomtest` computes it.

    Args:
        count: Photos with the answer.
        total: All photos, at least 1.
    """
    interval = binomtest(count, total).proportion_ci(_CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def rates_at_points(
    target: NDArray[np.int_], p_ai: Scores, points: Mapping[str, OperatingPoint]
) -> dict[str, PointRates]:
    """Measure every operating point on photos of both labels."""
    return {
        name: PointRates(
            fpr=float((p_ai[target == 0] >= point.ai_from).mean()),
            tpr=float((p_ai[target == 1] >= point.ai_from).mean()),
            uncertain=float(_uncertain(p_ai, point).mean()),
            fpr_interval=_called_ai_interval(p_ai[target == 0], point),
            tpr_interval=_called_ai_interval(p_ai[target == 1], point),
        )
        for name, point in points.items()
    }


def _called_ai_interval(p_ai: Scores, point: OperatingPoint) -> Interval:
    return share_interval(int((p_ai >= point.ai_from).sum()), len(p_ai))


def verdict_shares(p_ai: Scores, points: Mapping[str, OperatingPoint]) -> dict[str, VerdictShares]:
    """Give the shares of one group's photos by verdict, for every operating point."""
    return {
        name: VerdictShares(
            ai=float((p_ai >= point.ai_from).mean()),
            uncertain=float(_uncertain(p_ai, point).mean()),
            real=float((p_ai < point.real_below).mean()),
        )
        for name, point in points.items()
    }


def _uncertain(p_ai: Scores, point: OperatingPoint) -> NDArray[np.bool_]:
    return (p_ai >= point.real_below) & (p_ai < point.ai_from)


def by_quartile(
    values: Scores, target: NDArray[np.int_], p_ai: Scores, point: OperatingPoint
) -> tuple[QuartilePart, ...]:
    """Measure each quartile of an image statistic; where many photos share a value there are fewer than four.

    Args:
        values: float64 `[N]`, the statistic.
        target: int `[N]`, 0 for real, 1 for AI.
        p_ai: float64 `[N]`.
        point: The thresholds that call AI.
    """
    index = np.searchsorted(np.unique(np.quantile(values, [0.25, 0.5, 0.75])), values, side="right")
    return tuple(
        _part(values[index == part], target[index == part], p_ai[index == part], point) for part in np.unique(index)
    )


def _part(values: Scores, target: NDArray[np.int_], p_ai: Scores, point: OperatingPoint) -> QuartilePart:
    real, ai = p_ai[target == 0], p_ai[target == 1]
    return QuartilePart(
        low=float(values.min()),
        high=float(values.max()),
        n_real=len(real),
        n_ai=len(ai),
        fpr=float((real >= point.ai_from).mean()) if len(real) else None,
        tpr=float((ai >= point.ai_from).mean()) if len(ai) else None,
        auc=float(roc_auc_score(target, p_ai)) if len(real) and len(ai) else None,
    )

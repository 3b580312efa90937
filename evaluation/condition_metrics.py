"""Metrics of a split's photos in one condition: of all, and by kind, delivery, source and generator."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from aiface_runtime.manifest import OperatingPoint

from .calibration import expected_calibration_error, reliability
from .dataset import Sample
from .metrics import (
    RARE_FPR,
    binary_metrics,
    generators_tpr_at_fpr,
    intervals,
    rates_at_points,
    roc,
    share_interval,
    verdict_shares,
)
from .names import DEFAULT, GENERATED, LABELS
from .records.results import BinaryMetrics, ConditionResult, GroupMetrics, KindMetrics, OverallMetrics
from .types import Scores


def condition_result(
    samples: Sequence[Sample], p_ai: Scores, points: Mapping[str, OperatingPoint], seen: Collection[str] = ()
) -> ConditionResult:
    """Measure one split in one condition, and in it every source and generator.

    Args:
        samples: N labelled photos, of both labels.
        p_ai: float64 `[N]`.
        points: The model's operating points by name, `balanced` among them.
        seen: Sources that have photos in the train split too.
    """
    in_train = np.array([sample.source in seen for sample in samples])
    target = np.array([sample.target for sample in samples])
    generators = np.array([sample.generator if sample.target else "" for sample in samples])
    return ConditionResult(
        overall=_overall(target, p_ai, points, generators),
        seen=_metrics_of(in_train, target, p_ai),
        unseen=_metrics_of(~in_train, target, p_ai),
        sources=_groups(np.array(_source_names(samples)), target, p_ai, points),
        generators=_groups(generators, target, p_ai, points),
        kinds=_kinds(np.array([sample.kind for sample in samples]), target, p_ai, points, generators),
        deliveries=_deliveries(samples, target, p_ai, points, generators),
        ece=expected_calibration_error(p_ai, target),
        reliability=tuple((mean, share, int(photos)) for mean, share, photos in reliability(p_ai, target).tolist()),
        roc=roc(target, p_ai),
    )


def _overall(
    target: NDArray[np.int_], p_ai: Scores, points: Mapping[str, OperatingPoint], generators: NDArray[np.str_]
) -> OverallMetrics:
    return OverallMetrics(
        **binary_metrics(target, p_ai).to_json(),
        generators_tpr_at_1_fpr=generators_tpr_at_fpr(target, p_ai, generators, RARE_FPR),
        intervals=intervals(target, p_ai, generators),
        points=rates_at_points(target, p_ai, points),
    )


def _distinct(names: NDArray[np.str_]) -> list[str]:
    return sorted(set(names.tolist()) - {""})


def _kinds(
    kinds: NDArray[np.str_],
    target: NDArray[np.int_],
    p_ai: Scores,
    points: Mapping[str, OperatingPoint],
    generators: NDArray[np.str_],
) -> dict[str, KindMetrics]:
    metrics = {}
    for name, group in _groups(kinds, target, p_ai, points).items():
        among = (kinds == name) | (target == 0)
        labels, scores, makers = target[among], p_ai[among], generators[among]
        metrics[name] = KindMetrics(
            **{item.name: getattr(group, item.name) for item in fields(group)},
            generators_tpr_at_1_fpr=generators_tpr_at_fpr(labels, scores, makers, RARE_FPR),
            intervals=intervals(labels, scores, makers),
            ece=expected_calibration_error(scores, labels),
        )
    return metrics


def _deliveries(
    samples: Sequence[Sample],
    target: NDArray[np.int_],
    p_ai: Scores,
    points: Mapping[str, OperatingPoint],
    generators: NDArray[np.str_],
) -> dict[str, OverallMetrics]:
    """Measure each delivery alone, where it has photos of both labels."""
    deliveries = np.array([sample.delivery if sample.kind in ("", GENERATED) else "" for sample in samples])
    inside = {name: deliveries == name for name in _distinct(deliveries)}
    return {
        name: _overall(target[chosen], p_ai[chosen], points, generators[chosen])
        for name, chosen in inside.items()
        if len(set(target[chosen].tolist())) == len(LABELS)
    }


def _metrics_of(inside: NDArray[np.bool_], target: NDArray[np.int_], p_ai: Scores) -> BinaryMetrics | None:
    return binary_metrics(target[inside], p_ai[inside]) if len(set(target[inside])) == len(LABELS) else None


def _source_names(samples: Sequence[Sample]) -> list[str]:
    """Name the sources, those that have photos of both labels as two."""
    labels: dict[str, set[str]] = {}
    for sample in samples:
        labels.setdefault(sample.source, set()).add(sample.label)
    return [
        sample.source if len(labels[sample.source]) == 1 else f"{sample.source} ({sample.label})" for sample in samples
    ]


def _groups(
    names: NDArray[np.str_], target: NDArray[np.int_], p_ai: Scores, points: Mapping[str, OperatingPoint]
) -> dict[str, GroupMetrics]:
    return {name: _group(names == name, target, p_ai, points) for name in _distinct(names)}


def _group(
    inside: NDArray[np.bool_], target: NDArray[np.int_], p_ai: Scores, points: Mapping[str, OperatingPoint]
) -> GroupMetrics:
    label, own = target[inside][0], p_ai[inside]
    against = inside | (target != label)
    metrics = binary_metrics(target[against], p_ai[against])
    return GroupMetrics(
        label=LABELS[label],
        n=len(own),
        accuracy=float(((own >= 0.5) == label).mean()),
        balanced_accuracy=metrics.balanced_accuracy,
        f1=metrics.f1,
        auc=metrics.auc,
        tpr_at_1_fpr=metrics.tpr_at_1_fpr,
        verdicts=verdict_shares(own, points),
        called_ai_interval=share_interval(int((own >= points[DEFAULT].ai_from).sum()), len(own)),
    )

"""The figures that models are compared by, as a record; all are in, or follow from, a `ConditionResult`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..names import DEFAULT, GENERATED
from .json_record import JsonRecord
from .results import ConditionResult, Interval, KindMetrics, OverallMetrics, PointRates

MIN_PHOTOS = 30  # of a real source: of fewer, a single photo called AI is a large share


@dataclass(frozen=True, kw_only=True)
class Estimate(JsonRecord):
    """A share or another metric, 0 to 1, and its 95 % interval; None where it was not recorded."""

    value: float
    interval: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class Detection(JsonRecord):
    """How some AI photos are told from real ones.

    Attributes:
        n_real: Number of real photos.
        n_ai: Number of AI photos.
        auc: Area under the ROC curve.
        tpr_at_1_fpr: Share of AI photos found where at most 1 % of the real ones are called AI.
        generators_tpr_at_1_fpr: Mean of that over generators; None where it was not recorded.
        real_called_ai: Share of the real photos called AI at the default operating point.
        ai_called_ai: Share of the AI photos called AI there.
        ece: Expected calibration error of these photos; None where it was not recorded.
    """

    n_real: int
    n_ai: int
    auc: Estimate
    tpr_at_1_fpr: Estimate
    generators_tpr_at_1_fpr: Estimate | None
    real_called_ai: Estimate
    ai_called_ai: Estimate
    ece: float | None = None


@dataclass(frozen=True, kw_only=True)
class WorstSource(JsonRecord):
    """The real source, of those with 30 photos or more, of which the largest share is called AI.

    Attributes:
        name: Name of the source.
        n: Number of its photos.
        called_ai: Share called AI at the default operating point.
    """

    name: str
    n: int
    called_ai: Estimate


@dataclass(frozen=True, kw_only=True)
class Headline(JsonRecord):
    """The figures of a split in one condition by which models are compared.

    Attributes:
        rows: Figures by kind of AI photos (`ai` where the data does not say), `generated` first and by delivery too.
        worst_source: Real source that is called AI most; None where none has photos enough.
    """

    rows: Mapping[str, Detection]
    worst_source: WorstSource | None


def headline(result: ConditionResult) -> Headline:
    """Collect the figures of a result, of this version or an earlier one."""
    deliveries = {f"{GENERATED}, delivery {name}": _of_all(part) for name, part in result.deliveries.items()}
    kinds = {name: _of_kind(kind, result.overall) for name, kind in result.kinds.items()}
    if not kinds:
        return Headline(rows={"ai": _of_all(result.overall, result.ece)}, worst_source=_worst_source(result))
    rows = {name: kinds[name] for name in kinds if name == GENERATED} | deliveries
    return Headline(rows=rows | kinds, worst_source=_worst_source(result))


def _of_all(metrics: OverallMetrics, ece: float | None = None) -> Detection:
    rates = metrics.points[DEFAULT]
    caught = Estimate(value=rates.tpr, interval=rates.tpr_interval)
    return _detection(metrics, (metrics.n_real, metrics.n_ai), rates, caught, ece)


def _of_kind(kind: KindMetrics, overall: OverallMetrics) -> Detection:
    caught = Estimate(value=kind.verdicts[DEFAULT].ai, interval=kind.called_ai_interval)
    return _detection(kind, (overall.n_real, kind.n), overall.points[DEFAULT], caught, kind.ece)


def _detection(
    metrics: OverallMetrics | KindMetrics,
    counts: tuple[int, int],
    rates: PointRates,
    ai_called_ai: Estimate,
    ece: float | None,
) -> Detection:
    def measured(name: str) -> Estimate:
        return Estimate(value=getattr(metrics, name), interval=metrics.intervals.get(name))

    return Detection(
        n_real=counts[0],
        n_ai=counts[1],
        auc=measured("auc"),
        tpr_at_1_fpr=measured("tpr_at_1_fpr"),
        generators_tpr_at_1_fpr=(
            None if metrics.generators_tpr_at_1_fpr is None else measured("generators_tpr_at_1_fpr")
        ),
        real_called_ai=Estimate(value=rates.fpr, interval=rates.fpr_interval),
        ai_called_ai=ai_called_ai,
        ece=ece,
    )


def _worst_source(result: ConditionResult) -> WorstSource | None:
    large = [(name, group) for name, group in result.sources.items() if group.label == "real" and group.n >= MIN_PHOTOS]
    if not large:
        return None
    name, group = max(large, key=lambda source: source[1].verdicts[DEFAULT].ai)
    called_ai = Estimate(value=group.verdicts[DEFAULT].ai, interval=group.called_ai_interval)
    return WorstSource(name=name, n=group.n, called_ai=called_ai)

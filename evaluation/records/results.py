"""What an evaluation found, as frozen records that JSON, the manifest, the page and the plots share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from .json_record import JsonRecord, json_key

Interval: TypeAlias = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Metrics(JsonRecord):
    """How well scores tell the labels apart, AI being called from 0.5 on; all are 0 to 1.

    Attributes:
        accuracy: Share of photos whose label is right.
        balanced_accuracy: Mean of the accuracies of both labels.
        f1: Harmonic mean of precision and recall of AI.
        auc: Area under the ROC curve.
        tpr_at_1_fpr: Share of AI photos found where at most 1 % of the real ones are called AI.
    """

    accuracy: float
    balanced_accuracy: float
    f1: float
    auc: float
    tpr_at_1_fpr: float


@dataclass(frozen=True, kw_only=True)
class BinaryMetrics(Metrics):
    """Metrics of photos of both labels.

    Attributes:
        n_real: Number of real photos.
        n_ai: Number of AI photos.
    """

    n_real: int
    n_ai: int


@dataclass(frozen=True, kw_only=True)
class PointRates(JsonRecord):
    """What an operating point does.

    Attributes:
        fpr: Share of the real photos that are called AI.
        tpr: Share of the AI photos that are called AI.
        uncertain: Share of all photos that get no verdict.
        fpr_interval: Exact 95 % interval of `fpr`; None in a record of an earlier version, as `tpr_interval`.
        tpr_interval: The same of `tpr`.
    """

    fpr: float
    tpr: float
    uncertain: float
    fpr_interval: Interval | None = None
    tpr_interval: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class VerdictShares(JsonRecord):
    """Shares of one group's photos by verdict.

    Attributes:
        ai: Share called AI.
        uncertain: Share without a verdict.
        real: Share called real.
    """

    ai: float
    uncertain: float
    real: float


@dataclass(frozen=True, kw_only=True)
class OverallMetrics(BinaryMetrics):
    """Metrics of all photos of a split.

    Attributes:
        generators_tpr_at_1_fpr: Mean of `tpr_at_1_fpr` over generators, by which models are chosen.
        intervals: 95 % bootstrap intervals by metric; of an earlier version, `auc`, `balanced_accuracy` and
            `tpr_at_1_fpr` alone.
        points: Rates by operating point.
    """

    generators_tpr_at_1_fpr: float
    intervals: Mapping[str, Interval]
    points: Mapping[str, PointRates]


@dataclass(frozen=True, kw_only=True)
class GroupMetrics(Metrics):
    """Metrics of a source or a generator, whose photos have one label.

    `accuracy` is the share of its own photos on the right side of 0.5; the other metrics are of its photos and all
    those of the other label.

    Attributes:
        label: `real` or `ai`.
        n: Number of its photos.
        verdicts: Shares of its own photos, by operating point.
        called_ai_interval: 95 % interval of the share called AI at the default operating point.
    """

    label: str
    n: int
    verdicts: Mapping[str, VerdictShares] = field(metadata=json_key("verdicts", "calls"))
    called_ai_interval: Interval


@dataclass(frozen=True, kw_only=True)
class KindMetrics(GroupMetrics):
    """Metrics of a kind of AI photos, compared with all real ones; what earlier versions lacked may be missing.

    Attributes:
        generators_tpr_at_1_fpr: Mean of `tpr_at_1_fpr` over the kind's generators.
        intervals: 95 % bootstrap intervals by metric.
        ece: Expected calibration error of this kind and all real photos, 0 to 1.
    """

    generators_tpr_at_1_fpr: float | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    ece: float | None = None


@dataclass(frozen=True, kw_only=True)
class ConditionResult(JsonRecord):
    """What was measured of a split's photos in one condition.

    Attributes:
        overall: Metrics of all photos.
        seen: Metrics of the photos of sources that are in the train split too; None where these lack a label.
        unseen: Metrics of the photos of all other sources; None where these lack a label.
        sources: Metrics by source; one with photos of both labels counts as two.
        generators: Metrics by generator of the AI photos.
        kinds: Metrics by kind of the AI photos; empty where the data does not say.
        deliveries: Metrics of the generated photos of one delivery and the real ones of the same, by delivery; empty
            where the data has none.
        ece: Expected calibration error, 0 to 1.
        reliability: Mean P(AI), share of AI and number of photos of each of 15 bins, empty ones left out.
        roc: False and true positive rates.
    """

    overall: OverallMetrics
    seen: BinaryMetrics | None = field(metadata=json_key("seen", "familiar"))
    unseen: BinaryMetrics | None = field(metadata=json_key("unseen", "unfamiliar"))
    sources: Mapping[str, GroupMetrics]
    generators: Mapping[str, GroupMetrics]
    kinds: Mapping[str, KindMetrics] = field(default_factory=dict)
    deliveries: Mapping[str, OverallMetrics] = field(default_factory=dict)
    ece: float
    reliability: tuple[tuple[float, float, int], ...]
    roc: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class QuartilePart(JsonRecord):
    """Metrics of the photos in one quartile of an image statistic; None where a label is missing.

    Attributes:
        low: Smallest value of the statistic.
        high: Largest value.
        n_real: Number of real photos.
        n_ai: Number of AI photos.
        fpr: Share of the real photos that are called AI.
        tpr: Share of the AI photos that are called AI.
        auc: Area under the ROC curve.
    """

    low: float = field(metadata=json_key("from"))
    high: float = field(metadata=json_key("to"))
    n_real: int
    n_ai: int
    fpr: float | None
    tpr: float | None
    auc: float | None


@dataclass(frozen=True, kw_only=True)
class Movement(JsonRecord):
    """How far P(AI) moves when photos are saved again.

    Attributes:
        within: Share of photos whose P(AI) moves by 0.1 or less.
        p95: 95th percentile of the move.
    """

    within: float = field(metadata=json_key("within_0.1"))
    p95: float


@dataclass(frozen=True, kw_only=True)
class Resaved(JsonRecord):
    """What saving photos again does.

    Attributes:
        n: Number of photos.
        formats: Changes of P(AI) by file format.
    """

    n: int
    formats: Mapping[str, Movement]


@dataclass(frozen=True, kw_only=True)
class SplitResult(JsonRecord):
    """What was measured of one split.

    Attributes:
        conditions: Results by condition.
        image_statistics: Parts by image statistic, in the clean condition at the default operating point.
        resaved: Effect of saving photos again.
    """

    conditions: Mapping[str, ConditionResult] = field(metadata=json_key("conditions", "tiers"))
    image_statistics: Mapping[str, tuple[QuartilePart, ...]] = field(metadata=json_key("image_statistics", "traits"))
    resaved: Resaved


@dataclass(frozen=True, kw_only=True)
class Thresholds(JsonRecord):
    """Thresholds on P(AI): below `real_below` real, from `ai_from` on AI, uncertain between; both are 0 to 1."""

    real_below: float
    ai_from: float


@dataclass(frozen=True, kw_only=True)
class PhotoSet(JsonRecord):
    """Which photos an evaluation was made on, in short.

    Attributes:
        count: Number of distinct photos.
        sha256: SHA-256 of the first 16 hexadecimal digits of their hashes, sorted, one a line.
    """

    count: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Evaluation(JsonRecord):
    """Everything that was measured of a model.

    Attributes:
        model: Name of the model.
        command: Command line that measured it; empty for a call from Python.
        conditions: Names and descriptions of the conditions, in order.
        image_statistics: Names of the image statistics and what they mean.
        operating_points: The model's thresholds, by name.
        splits: Results by split.
        photos: P(AI) in the clean condition, by split and the first 16 hexadecimal digits of the file's SHA-256;
            empty where it was not recorded.
        photo_set: Summary that stands for `photos` in a manifest.
        left_out: Number of listed photos that could not be decoded, and count nowhere.
    """

    model: str
    command: str
    conditions: tuple[tuple[str, str], ...] = field(metadata=json_key("conditions", "tiers"))
    image_statistics: Mapping[str, str] = field(metadata=json_key("image_statistics", "traits"))
    operating_points: Mapping[str, Thresholds]
    splits: Mapping[str, SplitResult]
    photos: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    photo_set: PhotoSet | None = None
    left_out: int = 0

    def without_photos(self) -> Evaluation:
        """Keep only how many photos there were and one hash of them all, as a manifest does."""
        hashes = sorted({name for photos in self.photos.values() for name in photos})
        if not hashes:
            return self
        digest = hashlib.sha256("".join(f"{name}\n" for name in hashes).encode()).hexdigest()
        return replace(self, photos={}, photo_set=PhotoSet(count=len(hashes), sha256=digest))

"""Models side by side on the same photos, and where they disagree, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .headline import Estimate, Headline
from .json_record import JsonRecord


@dataclass(frozen=True, kw_only=True)
class Latency(JsonRecord):
    """How long one photo takes from file to answer on one thread, in milliseconds.

    Attributes:
        median: Median of all rounds.
        low: Lower end of the median's 95 % interval.
        high: Upper end of that interval.
        rounds: Number of measurements.
    """

    median: float
    low: float
    high: float
    rounds: int


@dataclass(frozen=True, kw_only=True)
class ComparedModel(JsonRecord):
    """What was measured of one of the models.

    Attributes:
        name: Name of the model, unlike all others' of the comparison.
        sha256: SHA-256 of its file.
        size: Size of the file, in bytes.
        splits: Figures by split and condition.
        latency: Time that an answer takes, the models measured in turn; None where it was not measured.
    """

    name: str
    sha256: str
    size: int
    splits: Mapping[str, Mapping[str, Headline]]
    latency: Latency | None = None


@dataclass(frozen=True, kw_only=True)
class Disagreement(JsonRecord):
    """How differently two models judge the same photos, each at its own default operating point.

    Attributes:
        n: Number of photos.
        verdicts: Number of photos by the first model's verdict and the second's.
        opposite: Share of photos that one model calls AI and the other real.
        first_right: Share of those of which the first model is right, the second being right of all others; None where
            there are none.
        correlation: Pearson's correlation of their log-odds of AI, -1 to 1; None where one model's do not vary.
    """

    n: int
    verdicts: Mapping[str, Mapping[str, int]]
    opposite: Estimate
    first_right: Estimate | None
    correlation: float | None


@dataclass(frozen=True, kw_only=True)
class ModelPair(JsonRecord):
    """The disagreement of two models.

    Attributes:
        first: Name of one model.
        second: Name of the other.
        splits: Disagreement by split, condition and group: `all`, `real`, and the kinds of AI photos, `ai` where the
            data does not say.
    """

    first: str
    second: str
    splits: Mapping[str, Mapping[str, Mapping[str, Disagreement]]]


@dataclass(frozen=True, kw_only=True)
class Comparison(JsonRecord):
    """Two models or more on the same photos.

    Attributes:
        command: Command line that measured them; empty for a call from Python.
        conditions: Names and descriptions of the conditions, in order.
        models: Models in the order they were named.
        pairs: Disagreement of each two of them.
        photo: Description of the photo that latency was measured with.
        left_out: Number of listed photos that could not be decoded, and count nowhere.
    """

    command: str
    conditions: tuple[tuple[str, str], ...]
    models: tuple[ComparedModel, ...]
    pairs: tuple[ModelPair, ...]
    photo: str = ""
    left_out: int = 0

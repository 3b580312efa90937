"""Which reasons make errors at least twice as frequent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiface_runtime.reasons import Reason

from ..dataset import Sample
from ..names import CONDITION_NAMES, DEFAULT
from ..records.reasons import Candidate, ErrorRatio, ReasonReport
from ..types import Progress
from .changes import FACTORS
from .observe import Observations, observe

_DOUBLED = 2.0  # ratio from which on a reason is offered
_RESAMPLES, _SEED = 2000, 0
_TAILS = (0.025, 0.975)
_MIN_PHOTOS = 30  # of fewer, one more error is a large share
_FAR, _SMALL = tuple(f"{factor} times" for factor in FACTORS), ("longer side",)
_Mask = NDArray[np.bool_]


class _Tried(NamedTuple):
    """A reason.

    Attributes:
        reason: Name of the reason.
        text: Text that says when it holds, in which the limit is put.
        holds: Function from the answers and a limit to those for which it holds.
        changes: Beginnings of the names of the changes that were made for it; photos that were changed for something
            else count nowhere, as that may be what made them errors.
        limits: Limits that are tried, from the mildest to the strictest.
    """

    reason: str
    text: str
    holds: Callable[[Observations, float], _Mask]
    changes: tuple[str, ...] = ()
    limits: tuple[float | None, ...] = (None,)


def _warned(reason: Reason, text: str, *changes: str) -> _Tried:
    return _Tried(reason, text, lambda seen, _: seen.warned(reason), changes)


def _changed(reason: str, text: str, *changes: str) -> _Tried:
    """Take all photos that were changed for it, where nothing here can tell them."""
    return _Tried(reason, text, lambda seen, _: seen.change != "", changes)


_TRIED = (
    _Tried(
        Reason.NEAR_THRESHOLD,
        "P(AI) is at most {:g} logits beyond a threshold",
        lambda seen, limit: seen.distance <= limit,
        limits=(0.5, 0.25),
    ),
    _Tried(
        Reason.STRONG_COMPRESSION,
        "a JPEG of quality {:g} or less",
        lambda seen, limit: seen.quality <= limit,
        ("JPEG",),
        (20, 12, 8, 5),
    ),
    _Tried(
        Reason.WASHED_OUT,
        "95 % of the pixels have a luma of {:g} or more",
        lambda seen, limit: seen.black >= limit,
        ("washed out",),
        (100, 130, 160, 190),
    ),
    _warned(Reason.NO_FACE, "no face in what the model sees", *_FAR),
    _warned(Reason.SMALL_FACE, "the largest face is small", *_FAR),
    _warned(Reason.TINY, "the shorter side has fewer than 64 pixels", *_SMALL),
    _warned(Reason.UPSCALED, "the photo is smaller than the model's input", *_SMALL),
    _warned(Reason.SEVERAL_FACES, "more than one face"),
    _warned(Reason.TRUNCATED, "some of the picture's data are missing", "cut off"),
    _changed("screenshot_like", "a screenshot", "screenshot"),
    _changed("unusual_colours", "grey, warm, dark or of little contrast", "grey", "warm", "darkened", "contrast"),
    _changed("turned", "turned by a quarter or half, and no EXIF says so", "turned", "upside"),
)


def measure_reasons(
    model: str, samples: Sequence[Sample], n_changed: int, progress: Progress, *, command: str = "", left_out: int = 0
) -> ReasonReport:
    """Measure what makes a model's errors more frequent, at the default operating point.

    Args:
        model: An `.onnx` file or a bundled name.
        samples: Labelled photos, which can be decoded.
        n_changed: Number of photos, evenly over them, that are changed on purpose too.
        progress: Wraps an iterable to show how far it is.
        command: Command line that the user typed, for the record.
        left_out: Number of photos that could not be decoded, for the record.

    Raises:
        AifaceError: The model cannot be used.
    """
    seen = observe(model, samples, n_changed, progress)
    n_real = sum(sample.target == 0 for sample in samples)
    changed = len({index for index, change in zip(seen.sample.tolist(), seen.change.tolist(), strict=True) if change})
    splits = " and ".join(sorted({sample.split for sample in samples if sample.split}))
    return ReasonReport(
        model=seen.model,
        command=command,
        operating_point=DEFAULT,
        measured_on=f"{n_real} real and {len(samples) - n_real} AI photos{f' of {splits}' if splits else ''}, each in "
        f"{', '.join(CONDITION_NAMES)}, and {changed} of them changed on purpose",
        candidates=tuple(candidate for tried in _TRIED for candidate in _candidates(tried, seen)),
        changes={change: _against_clean(seen, change) for change in dict.fromkeys(seen.change.tolist()) if change},
        left_out=left_out,
    )


def _candidates(tried: _Tried, seen: Observations) -> list[Candidate]:
    """Try the limits of a reason; the mildest is offered at which errors double, also without what is stricter."""
    counts = np.array([not change or change.startswith(tried.changes) for change in seen.change.tolist()])
    masks = [tried.holds(seen, np.nan if limit is None else limit) & counts for limit in tried.limits]
    edges = [mask & ~stricter for mask, stricter in pairwise([*masks, np.zeros(len(seen.sample), dtype=bool)])]
    made, found = [], False
    for limit, mask, edge in zip(tried.limits, masks, edges, strict=True):
        whole, marginal = _errors(seen, mask), _errors(seen, edge)
        kinds = (kind for kind in whole if _is_doubled(whole[kind]) and _is_doubled(marginal[kind]))
        offered = "" if found or tried.reason not in set(Reason) else next(kinds, "")
        found = found or bool(offered)
        made.append(
            Candidate(
                reason=str(tried.reason),
                holds=tried.text.format(limit),
                limit=limit,
                n=int(mask.sum()),
                n_changed=int((mask & (seen.change != "")).sum()),
                **whole,
                offered=offered,
            )
        )
    return made


def _is_doubled(errors: ErrorRatio) -> bool:
    if errors.n < _MIN_PHOTOS or errors.ratio is None or errors.interval is None:
        return False
    return errors.ratio >= _DOUBLED and errors.interval[0] > 1


def _errors(seen: Observations, holds: _Mask) -> dict[str, ErrorRatio]:
    """Compare where something holds with the photos as they are, in every condition, where it does not."""
    otherwise = ~holds & (seen.change == "")
    wrong_side = (seen.p_ai >= 0.5) != seen.target
    decided = seen.verdict != "uncertain"
    wrong = (seen.verdict == "ai") != (seen.target == 1)
    return {
        "verdicts": _ratio(seen.source, wrong, holds & decided, otherwise & decided),
        "sides": _ratio(seen.source, wrong_side, holds, otherwise),
    }


def _against_clean(seen: Observations, change: str) -> tuple[ErrorRatio, ErrorRatio]:
    errors = _errors(seen, seen.change == change)
    return errors["verdicts"], errors["sides"]


def _ratio(source: NDArray[np.str_], wrong: _Mask, holds: _Mask, otherwise: _Mask) -> ErrorRatio:
    """Compare two shares of errors; the interval is of resamples of whole sources, whose photos resemble each other."""
    names, codes = np.unique(source, return_inverse=True)
    counts = np.array(
        [np.bincount(codes, mask, len(names)) for mask in (wrong & holds, holds, wrong & otherwise, otherwise)]
    )
    totals = counts.sum(axis=1)
    rate, rest = (float(totals[row] / totals[row + 1]) if totals[row + 1] else 0.0 for row in (0, 2))
    if not totals[1] or not rest:
        return ErrorRatio(n=int(totals[1]), rate=rate, otherwise=rest)
    drawn = np.random.default_rng(_SEED).multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors, n, others, m = (drawn @ counts.T).T
        ratios = (errors / n) / (others / m)
    ratios = ratios[~np.isnan(ratios)]  # of resamples in which it holds nowhere, nothing can be told
    low, high = np.quantile(ratios, _TAILS, method="nearest").tolist() if len(ratios) else (0.0, np.inf)
    interval = (low, high) if np.isfinite(high) else None
    return ErrorRatio(n=int(totals[1]), rate=rate, otherwise=rest, ratio=rate / rest, interval=interval)

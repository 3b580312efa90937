"""Why an answer is as it is, in one plain sentence made of what the answer holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """What may make an answer unsure; but for the last, the names are those of `PhotoWarning`."""

    NO_FACE = "no_face"
    TRUNCATED = "truncated"
    SMALL_FACE = "small_face"
    TINY = "tiny"
    STRONG_COMPRESSION = "strong_compression"
    WASHED_OUT = "washed_out"
    SEVERAL_FACES = "several_faces"
    BROKEN_EXIF = "broken_exif"
    UPSCALED = "upscaled"
    WIDE_GAMUT = "wide_gamut"
    NEAR_THRESHOLD = "near_threshold"


_CLAUSES = {
    Reason.NO_FACE: "no face was found in what the model sees",
    Reason.TRUNCATED: "part of the picture is missing",
    Reason.SMALL_FACE: "the face is small",
    Reason.TINY: "the photo is tiny",
    Reason.STRONG_COMPRESSION: "the JPEG is strongly compressed",
    Reason.WASHED_OUT: "the photo is washed out, unlike those of training",
    Reason.SEVERAL_FACES: "there are several faces",
    Reason.BROKEN_EXIF: "its orientation cannot be read",
    Reason.UPSCALED: "the photo was enlarged for the model",
    Reason.WIDE_GAMUT: "its wide colours were taken as sRGB",
}
_DECISIVE = (Reason.NO_FACE, Reason.TRUNCATED)  # the verdict may be uncertain for them, whatever p_ai is
_DIGITS = range(2, 7)  # of a probability: no more than are needed to tell it from the thresholds


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason that was measured to make a model's errors more frequent.

    Attributes:
        limit: Number from which the reason holds, where it depends on the model: of `near_threshold` the greatest
            distance in logits, of `strong_compression` the highest JPEG quality, of `washed_out` the lowest luma of
            the darkest parts, 0 to 255. None where the reason has a definition of its own.
        ratio: Factor by which errors were more frequent where it holds; None where that was not measured.
    """

    limit: float | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class MeasuredReasons:
    """The rules of a model, by reason, the strongest first, and the operating point at which they were measured."""

    operating_point: str
    rules: Mapping[str, Rule]

    def at(self, operating_point: str) -> Mapping[str, Rule]:
        """Return the rules for an operating point: the distance from a threshold and all figures hold for one alone."""
        if operating_point == self.operating_point:
            return self.rules
        others = {name: rule for name, rule in self.rules.items() if name != Reason.NEAR_THRESHOLD}
        return {name: Rule(rule.limit) for name, rule in others.items()}


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer was judged by.

    Attributes:
        operating_point: Name of the thresholds.
        real_below: Threshold on `p_ai`, 0 to 1, below which the verdict is real.
        ai_from: Threshold on `p_ai`, 0 to 1, from which on it is AI.
        rules: Reasons that were measured to make the model's errors more frequent, the strongest first; None of a
            model for which nothing was measured.
    """

    operating_point: str
    real_below: float
    ai_from: float
    rules: Mapping[str, Rule] | None = None


def sentence(verdict: str, p_ai: float, warnings: Sequence[str], basis: Basis | None) -> str:
    """Say in one plain sentence why a verdict is what it is: of an uncertain one, the strongest reason first.

    Args:
        verdict: The verdict: real, ai or uncertain.
        p_ai: Probability of AI, 0 to 1.
        warnings: Names of `PhotoWarning`.
        basis: Thresholds and rules that it was judged by; None where that is not known.
    """
    rules = basis.rules if basis else None
    clauses = [_clause(reason, rules) for reason in _ordered(warnings, rules)]
    if basis is None:
        known = f"p_ai {p_ai:.2f} got the verdict {verdict} by thresholds that are not known"
        text = f"{known}; {_joined(clauses)}" if clauses else known
    elif verdict == "uncertain":
        text = _uncertain(p_ai, basis, clauses, sum(reason in warnings for reason in _DECISIVE))
    else:
        text = _decided(p_ai, basis, clauses)
    return f"{text[:1].upper() if not text.startswith('p_ai') else text[:1]}{text[1:]}."


def logits_between(p_ai: float, threshold: float) -> float:
    """Return the distance of two probabilities in logits; infinity where one of them is 0 or 1."""
    if not (0 < p_ai < 1 and 0 < threshold < 1):
        return math.inf
    return abs(math.log(p_ai / (1 - p_ai)) - math.log(threshold / (1 - threshold)))


def _ordered(warnings: Sequence[str], rules: Mapping[str, Rule] | None) -> list[Reason]:
    """Return the reasons that hold: what can decide a verdict, then by strength, or all where none was measured."""
    known = [reason for reason in _DECISIVE if reason in warnings]
    others = [Reason(name) for name in rules if name in _CLAUSES] if rules is not None else list(_CLAUSES)
    return known + [reason for reason in others if reason in warnings and reason not in known]


def _clause(reason: Reason, rules: Mapping[str, Rule] | None) -> str:
    return _CLAUSES[reason] + _figure((rules or {}).get(reason))


def _figure(rule: Rule | None) -> str:
    return f" (where errors were {rule.ratio:.1f} times as frequent)" if rule and rule.ratio else ""


def _decided(p_ai: float, basis: Basis, clauses: Sequence[str]) -> str:
    threshold = basis.ai_from if p_ai >= basis.ai_from else basis.real_below
    near = (basis.rules or {}).get(Reason.NEAR_THRESHOLD)
    if near is None or near.limit is None:
        distance, figure = "", ""
    elif logits_between(p_ai, threshold) <= near.limit:
        distance, figure = "just ", _figure(near)
    else:
        distance, figure = "well ", ""
    shown, limit = _apart(p_ai, threshold)
    score = (
        f"p_ai {shown} is {_side(p_ai, threshold, distance)} the threshold {limit} of '{basis.operating_point}'{figure}"
    )
    if clauses:
        return f"{score}, but {_joined(clauses)}"
    return f"{score}; nothing {'else ' if figure else ''}known counts against it"


def _uncertain(p_ai: float, basis: Basis, clauses: Sequence[str], decisive: int) -> str:
    """Begin with the reasons, of which the first may be decisive for themselves."""
    low, high = basis.real_below, basis.ai_from
    if low <= p_ai < high:
        shown, first, second = _apart(p_ai, low, high)
        between = f"p_ai {shown} lies between the thresholds {first} and {second} of '{basis.operating_point}'"
        return _joined([*clauses, between]) if clauses else f"{between}; no other reason is known"
    threshold = high if p_ai >= high else low
    shown, limit = _apart(p_ai, threshold)
    alone = f"p_ai {shown} is {_side(p_ai, threshold)} the threshold {limit} of '{basis.operating_point}'"
    if not decisive:  # of an answer that no `Classifier` made
        return _joined([*clauses, alone])
    others = [f"although {alone}", *clauses[decisive:]]
    return f"{_joined(clauses[:decisive])}, so there is no verdict {_joined(others)}"


def _side(p_ai: float, threshold: float, distance: str = "") -> str:
    return "at" if p_ai == threshold else f"{distance}{'above' if p_ai > threshold else 'below'}"


def _apart(*values: float) -> list[str]:
    """Write numbers from 0 to 1 with as few digits as tell those apart that differ."""
    for digits in _DIGITS:
        texts = [f"{value:.{digits}f}" for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def _joined(clauses: Sequence[str]) -> str:
    return " and ".join([", ".join(clauses[:-1]), clauses[-1]] if len(clauses) > 1 else clauses)

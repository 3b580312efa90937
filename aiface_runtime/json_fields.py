"""Reading JSON that others wrote: every field has one type and stated limits, or a ValueError says what it has."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

MAX_TEXT = 200  # characters of a name
_MAX_DEPTH = 32  # objects and lists in each other
_MAX_QUOTED = 80  # characters of a wrong value that a message quotes


def parse_object(text: str) -> dict[str, Any]:
    """Parse an object of JSON, without the liberties that Python's parser takes.

    Raises:
        ValueError: Not JSON, not an object, a key that repeats, NaN or infinity, a lone surrogate, nested too deep.
        RecursionError: Nested so deep that the parser gave up.
    """
    document = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    if not isinstance(document, dict):
        raise ValueError("is not an object")
    _check_depth(document)
    if "\\ud" in text.lower():  # only so can JSON hold half a character, which nothing can print
        json.dumps(document, ensure_ascii=False).encode()
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("has a key more than once in an object")
    return unique


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"has {name}, which is not JSON")


def _check_depth(value: object, depth: int = 1) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError(f"has more than {_MAX_DEPTH} objects and lists in each other")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        if isinstance(part, (dict, list)):
            _check_depth(part, depth + 1)


def quoted(value: object) -> str:
    """Return a value for a message: on one line, and not all of it where it is long."""
    text = repr(value)
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…"


def object_of(value: object, field: str) -> Mapping[str, object]:
    """Require an object."""
    if not isinstance(value, dict):
        raise ValueError(f"has {field} {quoted(value)}, not an object")
    return value


def list_of(value: object, field: str, lengths: range) -> Sequence[object]:
    """Require a list whose length is one of `lengths`."""
    if not isinstance(value, list):
        raise ValueError(f"has {field} {quoted(value)}, not a list")
    if len(value) not in lengths:
        raise ValueError(f"has {field} of length {len(value)}, not {_span(lengths)}")
    return value


def name_of(value: object, field: str) -> str:
    """Require a name: 1 to `MAX_TEXT` characters that can be printed, so that none forges a line or hides another."""
    if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= MAX_TEXT:
        raise ValueError(f"has {field} {quoted(value)}, not 1 to {MAX_TEXT} printable characters")
    return value


def names_of(value: object, field: str, lengths: range) -> tuple[str, ...]:
    """Require a list of different names."""
    names = tuple(name_of(name, field) for name in list_of(value, field, lengths))
    if len(set(names)) != len(names):
        raise ValueError(f"has {field} that repeat: {quoted(names)}")
    return names


def integer_of(value: object, field: str, allowed: range) -> int:
    """Require a whole number in `allowed`; `true` and 1.0 are none."""
    if type(value) is not int or value not in allowed:
        raise ValueError(f"has {field} {quoted(value)}, not {_span(allowed)}")
    return value


def number_of(value: object, field: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Require a finite number from `low` to `high`; `true` is none."""
    if type(value) not in (int, float) or not low <= value <= high or not abs(value) < 1e300:  # type: ignore[operator, arg-type]
        raise ValueError(f"has {field} {quoted(value)}, not a number{_limits(low, high)}")
    return float(value)  # type: ignore[arg-type]


def _span(allowed: range) -> str:
    return f"{allowed[0]} to {allowed[-1]}"


def _limits(low: float, high: float) -> str:
    return f" from {low:g} to {high:g}" if math.isfinite(high) else ""

"""Medians, ratios and intervals are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from aiface_runtime.latency import Timing, take_turns
from benchmarks.measurement import Measurement, ordered, read, summarise
from benchmarks.subjects import OURS

_SECONDS = {OURS: [0.010, 0.012, 0.011, 0.013, 0.500], "other": [0.020, 0.024, 0.022, 0.026, 1.000]}


def test_twice_the_time_of_every_round_is_a_ratio_of_two() -> None:
    measured = summarise(_SECONDS, difference={"other": 0.25})
    assert measured[OURS].ms == pytest.approx(12.0)
    assert measured[OURS].ratio == 1.0
    assert measured[OURS].difference is None
    assert measured["other"].ratio == pytest.approx(2.0)
    assert measured["other"].ratio_95 == pytest.approx((2.0, 2.0)), "paired: both subjects from the same rounds"
    assert measured["other"].difference == 0.25


def test_there_is_no_ratio_without_our_rounds() -> None:
    assert summarise({"other": _SECONDS["other"]})["other"].ratio is None


def test_records_are_read_back() -> None:
    measured = summarise(_SECONDS) | {"broken": Measurement(failed="no such module")}
    records = {name: row.to_json() for name, row in measured.items()}
    assert records["broken"] == {"failed": "no such module"}
    assert read(records) == measured


def test_this_library_first_then_by_time_then_failures() -> None:
    first = {
        "broken": Measurement(failed="x"),
        "slow": Measurement(ms=30.0),
        "quick": Measurement(ms=1.0),
        OURS: Measurement(ms=20.0),
    }
    assert ordered({"photo": first}) == [OURS, "quick", "slow", "broken"]


def test_turns_are_taken() -> None:
    order: list[str] = []
    seconds = dict.fromkeys("ab", 0.0)
    for name, taken in take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3):
        seconds[name] += taken
    assert order == ["a", "b"] * 4, "once to warm up, then in turn"
    assert all(taken > 0 for taken in seconds.values())


def test_an_interval_holds_the_median() -> None:
    timing = Timing.of([0.010, 0.012, 0.011, 0.500, 0.013])
    assert timing.median == pytest.approx(12.0)
    assert 10.0 <= timing.low <= timing.median <= timing.high <= 500.0
    assert np.isclose(Timing.of([0.5]).low, 500.0)

"""Times are medians with their intervals, and every action gets its turn."""

from __future__ import annotations

import pytest

from aiface_runtime.latency import Timing, encoded, photo, take_turns


def test_actions_take_turns_after_one_run_to_warm_up() -> None:
    order: list[str] = []
    actions = {name: lambda name=name: order.append(name) for name in "ab"}  # type: ignore[misc]
    names = [name for name, seconds in take_turns(actions, rounds=3) if seconds >= 0]
    assert order == ["a", "b"] * 4
    assert names == ["a", "b"] * 3


def test_an_outlier_moves_the_interval_not_the_median() -> None:
    timing = Timing.of([0.010, 0.012, 0.011, 0.500, 0.013])
    assert timing.median == pytest.approx(12.0)
    assert 10.0 <= timing.low <= timing.median <= timing.high <= 500.0
    assert timing.rounds == 5


def test_the_picture_is_the_same_every_time() -> None:
    assert encoded(photo(60, 40)) == encoded(photo(60, 40))
    assert photo(60, 40).size == (60, 40)

"""Work on photos by all cores."""

from __future__ import annotations

from aiface_evaluation.parallel import ahead


def test_work_ahead_is_lazy_and_in_order() -> None:
    taken = []

    def items() -> object:
        for number in range(1000):
            taken.append(number)
            yield number

    results = ahead(lambda number: number * 2, items())  # type: ignore[arg-type]
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    results.close()  # type: ignore[attr-defined]
    assert len(taken) < 500

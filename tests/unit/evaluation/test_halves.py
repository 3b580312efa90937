"""The two fixed halves of a set of pictures."""

from __future__ import annotations

from aiface_evaluation.halves import half_of


def test_a_name_stays_in_its_half_wherever_the_file_lies() -> None:
    names = ["statue.jpg", "landscape.jpg", "logo.jpg", "car.jpg"]
    assert [half_of(name) for name in names] == [half_of(f"extra/noface/{name}") for name in names]
    assert [half_of(name) for name in names] == ["held", "held", "fitted", "held"], (
        "whoever fitted on a half relies on it"
    )


def test_about_half_of_the_pictures_are_held() -> None:
    held = sum(half_of(f"picture-{number}.jpg") == "held" for number in range(1000))
    assert 450 < held < 550

"""No file, however small, takes seconds or gigabytes."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from aiface_runtime import Classifier
from aiface_runtime.errors import ImageTooLargeError, UsageError
from aiface_runtime.images import decode
from aiface_runtime.limits import Limits
from tests.corpus.bombs import BOMBS, jpeg_of_size, png, progressive, webp_of_canvas
from tests.corpus.measure import cost_of

HEADROOM_MB = 60  # of a process that holds a model as well


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_a_hostile_file_is_refused_or_answered_within_its_budget(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    cost = cost_of(BOMBS[name]())  # which ends a process that does not end by itself
    record_property("cost", str(cost))
    assert cost.peak_mb < 300 - HEADROOM_MB, cost


@pytest.mark.parametrize("name", ["jpeg-scans", "png-rgba", "webp-canvas", "tiff-tile", "jpeg2000-blocks"])
def test_a_picture_that_the_application_opened_is_held_to_the_same_limits(name: str) -> None:
    data = BOMBS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own, of large pictures
        lazy = Image.open(io.BytesIO(data))
    outcomes = []
    for source in (data, lazy):
        try:
            outcomes.append(str(decode(source).warnings))
        except ImageTooLargeError as error:
            outcomes.append(str(error).partition(">: ")[2])
    assert outcomes[0] == outcomes[1]


def test_every_limit_is_the_caller_s_to_set() -> None:
    photo = png(400, 300, 8, 2)
    assert decode(photo, limits=Limits(pixels=120_000)).pixels.shape == (300, 400, 3)
    for limits, says in (
        (Limits(pixels=119_999), "400 x 300 pixels; at most 119,999"),
        (Limits(bytes=100), "bytes; at most 100"),
        (Limits(memory=400_000), "would take 0 MB"),
    ):
        with pytest.raises(ImageTooLargeError, match=says):
            decode(photo, limits=limits)
    with pytest.raises(ImageTooLargeError, match="9400 x 9400"):
        decode(webp_of_canvas(9_400))


def test_a_jpeg_that_is_decoded_smaller_may_be_larger() -> None:
    large = jpeg_of_size(8_000)
    with pytest.raises(ImageTooLargeError, match="8000 x 8000 pixels; at most 30,000,000"):
        decode(large)
    assert decode(large, (448, 448)).pixels.shape == (1000, 1000, 3)
    with pytest.raises(ImageTooLargeError, match="at most 1,000"):
        decode(large, (448, 448), Limits(scaled_pixels=1000))
    with pytest.raises(ImageTooLargeError, match="would take"):  # it holds all coefficients, at whatever scale
        decode(progressive(6_000), (448, 448))


@pytest.mark.parametrize("arguments", [{"limits": 30_000_000}, {"limits": None}, {"isolate": "no"}])
def test_arguments_of_a_wrong_kind(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(arguments))} .*: must be"):
        Classifier(**arguments)


@pytest.mark.parametrize("arguments", [{"bytes": 0}, {"pixels": 1.5}, {"memory": True}, {"seconds": -1.0}])
def test_a_limit_that_makes_no_sense_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="a number above 0"):
        Limits(**arguments)

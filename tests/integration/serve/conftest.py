"""Photos that the tests make, with answers that differ, and a service that several tests ask."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest

from aiface_runtime import Classifier
from tests.support import paint
from tests.support.service import Service


def picture(number: int, width: int = 300, height: int = 340, kind: str = "JPEG") -> bytes:
    """Paint a picture of its own for each number."""
    buffer = io.BytesIO()
    paint(np.random.default_rng(number), width, height, ai=number % 2 == 1).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    return [picture(number) for number in range(12)]


@pytest.fixture(scope="session")
def expected(photos: list[bytes]) -> list[float]:
    """P(AI) of each of the photos, by the library; no two are the same."""
    with Classifier(device="cpu") as classifier:
        answers = [classifier.predict(photo).p_ai for photo in photos]
    assert len({round(answer, 4) for answer in answers}) == len(answers)
    return answers


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with Service("--max-photos", "40") as running:
        yield running

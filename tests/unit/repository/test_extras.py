"""What is installed with what: the runtime's own dependencies stay three, and every extra has a check."""

from __future__ import annotations

import re

import pytest

from scripts.check_extras import CHECKS
from tests.unit.repository.test_documents import settings

UNCHECKED = {"bench", "export-keras", "test"}  # what the benchmarks and tests install, and 2 GB of TensorFlow


def names(requirements: str) -> set[str]:
    return {re.split(r"[\[<>=~ ]", line)[0] for line in requirements.splitlines() if line}


def test_the_runtime_depends_on_no_more_than_it_did() -> None:
    config = settings()
    assert names(config["options"]["install_requires"]) == {"numpy", "pillow"}
    assert names(config["options.extras_require"]["cpu"]) == {"onnxruntime"}


def test_every_extra_is_checked_alone() -> None:
    extras = set(settings()["options.extras_require"])
    assert set(CHECKS) == extras - UNCHECKED
    assert {extra for check in CHECKS.values() for extra in check.extras.split(",")} <= extras


@pytest.mark.parametrize("name", CHECKS)
def test_an_extra_has_no_company_but_onnxruntime(name: str) -> None:
    assert set(CHECKS[name].extras.split(",")) - {"cpu"} <= {name}

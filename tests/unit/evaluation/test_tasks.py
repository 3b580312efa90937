"""Named tasks, and the page that tells why their sources were taken."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from aiface_evaluation.errors import DataError
from aiface_evaluation.tasks import task_names, task_sources

PAGE = Path(__file__).resolve().parents[3] / "docs/evaluation.md"


def test_the_page_has_every_source_and_reason() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert task_names() == ("celeba-tpdne",)
    for name in task_names():
        task = tomllib.loads(files("aiface_evaluation.tasks").joinpath(f"{name}.toml").read_text(encoding="utf-8"))
        assert f"**{name}**" in page
        rows = [
            " | ".join(("| " + source, *reason.split(": ", 1))) + " |" for source, reason in task["sources"].items()
        ]
        assert "\n".join(rows) in page
        assert task_sources(name) == tuple(task["sources"])


def test_a_task_that_is_none_is_named() -> None:
    with pytest.raises(DataError, match="celeba: is no task; there are celeba-tpdne"):
        task_sources("celeba")

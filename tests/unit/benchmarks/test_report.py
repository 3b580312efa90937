"""The pages show what is recorded, and a subject that failed stays in the tables as it failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import report
from benchmarks.subjects import OURS

_ROOT = Path(__file__).resolve().parents[3]
_RECORDED = _ROOT / "benchmarks" / "results" / "latency.json"
_MACHINE = {"processor": "p", "instructions": [], "cores": 2, "python": "3", "versions": {}, "rounds": 2}
_OURS = {"ms": 10.0, "ms_95": [9.0, 11.0], "ratio": 1.0, "ratio_95": [1.0, 1.0], "difference": 0.0}
_BROKEN = {"failed": "ImportError: No module named 'nothing'"}


def _between(text: str, name: str) -> str:
    return text.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- end of {name} -->")[0]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")
    return page


def test_the_document_is_what_is_recorded(page: Path) -> None:
    assert command.main(["--from-results", "--output", str(page)]) == 0
    document = (_ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert _between(page.read_text(encoding="utf-8"), "results") == _between(document, "results")
    assert {file.name for file in page.with_suffix("").iterdir()} == {"answers.png", "size.png"}


def test_nothing_recorded_is_missing_from_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--from-results"]) == 0
    assert "Not measured" not in capsys.readouterr().out


def test_failures_and_tasks_that_were_not_run_are_told(page: Path) -> None:
    columns: dict[str, Any] = {"178x218.jpg": {OURS: _OURS, "broken": _BROKEN}, "1024x1024.jpg": {OURS: _OURS}}
    report.write({"machine": _MACHINE, "answers bundled": columns, "paced": {"broken": _BROKEN}}, ["folder"], page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- results -->\nMeasured on p (no special instructions), 2 cores")
    assert text.endswith("<!-- end of results -->\nafter\n")
    assert f"| {OURS} | 10.0 ms, **1.00** (1.00 to 1.00) | 10.0 ms, **1.00** (1.00 to 1.00) | 0.0e+00 |" in text
    assert text.count(f"| broken | FAILED: {_BROKEN['failed']} |  |  |") == 2
    assert "**Not measured** in this run: folder." in text


def test_a_subject_that_failed_later_keeps_what_it_measured(page: Path) -> None:
    report.write(
        {"machine": _MACHINE, "model bundled 1": {"1": {OURS: _OURS, "b": _OURS}, "8": {OURS: _OURS, "b": _BROKEN}}},
        [],
        page,
    )
    assert f"| b | 10.0 ms, **1.00** (1.00 to 1.00) | FAILED: {_BROKEN['failed']} |" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [None, "no marks"])
def test_a_useless_page_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    page = tmp_path / "page.md"
    if text:
        page.write_text(text)
    arguments = ["--work", str(tmp_path / "work"), "--results", str(tmp_path / "new.json"), "-o", str(page)]
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    assert "page.md" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_from_results_needs_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--from-results", "--results", str(tmp_path / "none.json")])
    assert "none.json holds no results" in capsys.readouterr().err


def test_results_are_recorded_under_names_that_the_code_has() -> None:
    recorded = json.loads(_RECORDED.read_text(encoding="utf-8"))
    assert recorded["limits"]["work"].keys() == set(command.models.NAMES)
    assert recorded.keys() - {"problems", "machine"} == command._tasks(command.Settings(Path(), 1, 1)).keys()

"""The rows of docs/export.md are read as they are recorded, and the table shows all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import export_table
from benchmarks.export_rows import Problem, Row, document, read

_ROOT = Path(__file__).resolve().parents[3]
_RECORDED = _ROOT / "benchmarks" / "results" / "export.jsonl"


def test_records_are_written_as_they_are_read() -> None:
    records = [json.loads(line) for line in _RECORDED.read_text(encoding="utf-8").splitlines()]
    assert len(records) > 40
    assert [Row.from_json(record).to_json() for record in records] == records


def test_a_row_that_failed_says_why(tmp_path: Path) -> None:
    row = Row("net", "keras", "int8", Problem(problem="FAILED: no such layer", exporter="tf2onnx"))
    (file := tmp_path / "rows.jsonl").write_text(json.dumps(row.to_json()) + "\n")
    assert read(file) == {("net", "int8"): row}
    assert "| net | keras | int8 | tf2onnx | FAILED: no such layer |  |" in document([row], "command")


def test_no_file_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "none.jsonl") == {}


def test_the_document_is_what_is_recorded(tmp_path: Path) -> None:
    text = (_ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    before, table_and_after = text.split("<!-- table -->\n")
    (page := tmp_path / "export.md").write_text(
        f"{before}<!-- table -->\n{table_and_after[table_and_after.index('<!-- end of table -->') :]}", encoding="utf-8"
    )
    assert export_table.main(["--from-results", "-o", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == text


def test_what_is_not_recorded_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export_table.main(["--from-results", "--rows", str(tmp_path / "none.jsonl")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("not measured" in line for line in lines) == len(read(_RECORDED))

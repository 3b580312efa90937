"""The load test itself, for an instant: it measures a real service and holds every answer to the library's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client", reason="the extra serve is not installed: `make test` has it in .venv/serve")

ROOT = Path(__file__).resolve().parents[3]


def test_it_loses_and_exchanges_nothing(tmp_path: Path) -> None:
    results = tmp_path / "rows.jsonl"
    command = [sys.executable, "-m", "benchmarks.serve_load", "--no-page", "--results", str(results)]
    options = ["--seconds", "0.4", "--clients", "4", "--workers", "1"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert [row["load"] for row in rows] == ["closed", "0.25", "0.5", "0.75", "0.9", "2"]
    assert [(row["lost"], row["exchanged"]) for row in rows] == [(0, 0)] * 6
    assert rows[0]["answered"] > 0
    assert "| aiface serve, 1 process | closed |" in done.stdout

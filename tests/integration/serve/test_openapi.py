"""The service holds to the description that it gives of itself."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from aiface_runtime import PhotoWarning, Verdict
from tests.support.service import Service

pytest.importorskip("prometheus_client", reason="the extra serve is not installed: `make test` has it in .venv/serve")


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")
def test_schemathesis_finds_nothing(service: Service, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json", "--checks", "all"]
    options = ["--max-examples", "25", "--seed", "1", "--no-color", "--suppress-health-check", "all"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "No issues found" in done.stdout


def test_every_path_is_described(service: Service) -> None:
    document = service.get("/openapi.json").json()
    assert set(document["paths"]) == {"/v1/predict", "/v1/model", "/healthz", "/readyz", "/metrics", "/openapi.json"}
    for path, operations in document["paths"].items():
        if "get" in operations:
            response = service.get(path)
            described = operations["get"]["responses"][str(response.status_code)]["content"]
            assert response.headers["Content-Type"].partition(";")[0] in described
    assert document["components"]["schemas"]["Record"]["properties"]["verdict"]["enum"] == [*Verdict, None]
    assert all(warning in str(document) for warning in PhotoWarning)

"""Every benchmark can be imported: none is run by the tests as a whole."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "__main__")
PEERS = {"litserve", "playwright"}  # packages of environments of their own


@pytest.mark.parametrize("module", MODULES)
def test_it_can_be_imported(module: str) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed: benchmarks read model files by it")
    try:
        import_module(f"benchmarks.{module}")
    except ModuleNotFoundError as error:
        if error.name not in PEERS:
            raise
        pytest.skip(f"{error.name} is not installed")

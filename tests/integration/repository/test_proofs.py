"""What `make soak` and `make wheel` run, in small."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")
def test_a_long_run_holds_what_a_short_one_holds() -> None:
    done = script("soak.py", "--predictions", "2500", "--threads", "1")
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr, report["grown"]) == (0, "", [])
    assert report["predictions"] >= 2500
    assert len(report["usage"]) >= 5


def test_two_builds_of_the_wheel_are_the_same(tmp_path: Path) -> None:
    if not list(distributions(name="setuptools")):  # not imported: that would replace distutils in this process
        pytest.skip("setuptools is not installed: no wheel can be built")
    if not (ROOT / ".git").exists():
        pytest.skip("no repository: the script builds the last commit")
    done = script("reproducible_wheel.py", tmp_path)
    assert done.returncode == 0, done.stderr
    digest, name = done.stdout.split()
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    with zipfile.ZipFile(tmp_path / name) as wheel:
        assert "aiface_runtime/cli/program.py" in wheel.namelist()

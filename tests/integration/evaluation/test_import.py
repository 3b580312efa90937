"""Measuring and calibrating need no training stack, and say what they do need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("numpy", "PIL", "onnxruntime", "scipy", "matplotlib", "onnx")
FORBIDDEN = ("torch", "transformers", "tqdm", "tensorflow", "keras", "aiface_export", "aiface_training")


def run(blocked: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `aiface-evaluate` where some packages cannot be imported; then print which heavy ones were."""
    code = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
from aiface_evaluation.cli import main
try:
    code = main(sys.argv[1:])
finally:
    print([name for name in {HEAVY} if name in sys.modules])
sys.exit(code)
"""
    return subprocess.run([sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("calibrate", "--help"), ("compare", "--help"), ("faces", "--help")]
)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    done = run((), *arguments)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Exit codes: 0 done" in done.stdout


def test_both_commands_run_where_the_training_stack_cannot_be_imported(painted: Path, tmp_path: Path) -> None:
    done = run(FORBIDDEN, "aiface-lite0", str(painted), "-o", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "== val, clean" in done.stdout
    assert (tmp_path / "evaluation-roc.png").is_file()
    done = run(FORBIDDEN, "calibrate", "aiface-lite0", str(painted), "-o", str(tmp_path / "new.onnx"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new.onnx").is_file()


@pytest.mark.parametrize(
    ("command", "blocked", "remedy"),
    [
        ((), "matplotlib", 'pip install "aiface[evaluate]"'),
        ((), "scipy", 'pip install "aiface[evaluate]"'),
        ((), "onnxruntime", 'pip install "aiface[cpu]"'),
        (("calibrate",), "onnx", "pip install onnx"),
    ],
)
def test_a_missing_package_says_what_to_install(
    command: tuple[str, ...], blocked: str, remedy: str, painted: Path, tmp_path: Path
) -> None:
    output = tmp_path / "new.onnx" if command else tmp_path
    done = run((blocked,), *command, "aiface-lite0", str(painted), "-o", str(output))
    assert done.returncode == 1
    assert remedy in done.stderr
    assert len(done.stderr.splitlines()) == 1

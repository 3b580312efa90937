"""What the commands do before they run anything: in processes of their own, which have imported nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aiface_training.cli import build_parser

_HEAVY = ("torch", "transformers", "sklearn", "scipy", "keras", "pydantic", "PIL", "onnxruntime", "tqdm")


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_nothing_heavy_is_imported_before_a_command_runs() -> None:
    code = f"""
import sys
from aiface_training.cli import build_parser
build_parser().parse_args(["finetune", "photos", "-o", "runs/mine"])
print(*(name for name in {_HEAVY} if name in sys.modules))
"""
    finished = _python(code)
    assert (finished.returncode, finished.stdout.strip()) == (0, ""), finished.stderr


@pytest.mark.parametrize(
    ("missing", "command"),
    [("torch", "finetune"), ("pydantic", "finetune"), ("torch", "calibrate"), ("torch", "autoencoder")],
)
def test_without_an_extra_one_line_names_it(missing: str, command: str) -> None:
    words = {"calibrate": ["calibrate", "a"]}.get(command, [command])
    finished = _python(f"""
import sys
sys.modules[{missing!r}] = None  # as if it were not installed
from aiface_training.cli import main
sys.exit(main({[*words, "nowhere", "-o", "out"]}))
""")
    assert finished.returncode == 1
    (line,) = finished.stderr.splitlines()
    assert line.startswith("aiface-train: ")
    assert 'pip install "aiface[export,train]"' in line


def test_wrong_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["finetune", "photos"], ["autoencoder", "photos", "-o", "a.pt", "--upsampling", "cubic"], ["train"]):
        with pytest.raises(SystemExit) as caught:
            build_parser().parse_args(words)
        assert caught.value.code == 2
    assert "choose from" in capsys.readouterr().err

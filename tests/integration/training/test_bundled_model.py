"""The script that trains the bundled model, as far as its commands go."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from aiface_export.cli import main as export
from aiface_training.cli import build_parser
from aiface_training.distillation.recipe import StudentRecipe
from aiface_training.recipe import load_recipe
from aiface_training.teacher.recipe import TeacherRecipe

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "train_bundled_model.sh"


def _run(*options: str, runs: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RUNS": str(runs)}
    return subprocess.run([SCRIPT, *options], env=environment, cwd=runs, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    finished = _run("--dry-run", runs=tmp_path_factory.mktemp("runs"))
    assert finished.returncode == 0, finished.stderr
    return [shlex.split(line) for line in finished.stdout.splitlines()]


def test_training_commands_are_understood(commands: list[list[str]]) -> None:
    parsed = [build_parser().parse_args(words[1:]) for words in commands if words[0].endswith("aiface-train")]
    outputs: set[str] = set()
    for args in parsed:
        if "recipe" in args:
            kind = StudentRecipe if args.run.__module__.endswith("distil") else TeacherRecipe
            assert load_recipe(args.recipe, kind, args.set).seed > 2000
        inputs = [vars(args).get(name) for name in ("checkpoint", "checkpoints", "views", "teacher", "model")]
        named = [str(each) for given in inputs if given for each in (given if isinstance(given, list) else [given])]
        assert set(named) <= outputs, "made by a step before"
        assert str(args.output) not in outputs, "no step overwrites another's output"
        outputs.add(str(args.output))
    assert len(parsed) == 9


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_the_export_is_understood(commands: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    (words,) = [words for words in commands if words[0].endswith("aiface-export")]
    assert export(words[1:]) == 1, "2 would be wrong usage; here only the checkpoint is missing"
    assert "bundled: no such folder" in capsys.readouterr().err


def test_a_dry_run_leaves_nothing_and_other_options_are_refused(tmp_path: Path) -> None:
    assert _run("--dry-run", runs=tmp_path).returncode == 0
    assert not list(tmp_path.iterdir())
    finished = _run("--fast", runs=tmp_path)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "usage" in finished.stderr

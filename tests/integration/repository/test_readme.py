"""The README's own Python, run as it stands there."""

from __future__ import annotations

import re
import shutil
from ast import literal_eval
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[3] / "README.md"


def test_its_python_answers(
    portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    shutil.copy(portrait, "avatar.jpg")
    shutil.copy(portrait, "a.jpg")
    Path("b.jpg").write_bytes(b"no photo")
    exec(compile(block, "README.md", "exec"), {})
    answer, record, failure = capsys.readouterr().out.splitlines()
    verdict, p_ai, warnings = answer.split(" ", 2)
    assert (verdict, warnings) == ("real", "()")
    assert literal_eval(record)["p_ai"] == pytest.approx(float(p_ai), abs=1e-6)
    assert (literal_eval(failure)["input"], literal_eval(failure)["verdict"]) == ("b.jpg", None)


def test_it_is_one_screen() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 140

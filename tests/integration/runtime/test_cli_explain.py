"""`aiface explain` as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import Classifier
from tests.support.red_model import CELLS, encoded, red_model, spotted


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return red_model(tmp_path_factory.mktemp("red") / "red.onnx")


@pytest.fixture(scope="module")
def classifier(model: Path) -> Classifier:
    return Classifier(model, device="cpu")


def explain(*arguments: str | Path, cwd: Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-P", "-m", "aiface_runtime", "explain", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, cwd=cwd)


def test_the_command_writes_a_picture_and_says_where(model: Path, tmp_path: Path, classifier: Classifier) -> None:
    data = encoded(spotted(200, 160, (90, 60), 20))
    (tmp_path / "photo.jpg").write_bytes(data)
    done = explain("photo.jpg", "-o", "map.png", "--model", model, "--device", "cpu", cwd=tmp_path)
    answer = classifier.predict(data)
    assert (done.returncode, done.stderr) == (0, b"")
    line = f"photo.jpg: {answer.verdict} (p_ai {answer.p_ai:.3f}), evidence map: map.png\n"
    assert done.stdout.decode() == line
    with Image.open(tmp_path / "map.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (200, 160))
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(classifier.explain(data).overlay()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.png", "photo.jpg"]
    done = explain("-", "-o", "map.png", "--model", model, "--format", "json", cwd=tmp_path, stdin=data)
    record = json.loads(done.stdout)
    assert (record["input"], record["map"], record["p_ai"]) == ("-", "map.png", answer.p_ai)
    assert np.array(record["evidence"]).shape == (CELLS, CELLS)


def test_what_goes_wrong_is_one_line_and_leaves_nothing(model: Path, tmp_path: Path) -> None:
    spotted(80, 80, (30, 30), 9).save(tmp_path / "photo.png")
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "folder.png").mkdir()
    without = red_model(tmp_path / "without.onnx", promised=False)
    before = sorted(tmp_path.iterdir())
    for arguments, code, says in (
        (["photo.png", "-o", "map.png", "--model", without], 3, "no evidence map"),
        (["text.jpg", "-o", "map.png", "--model", model], 1, "text.jpg: "),
        (["missing.jpg", "-o", "map.png", "--model", model], 1, "no such file"),
        (["photo.png", "-o", "map.jpg", "--model", model], 2, ".png"),
        (["photo.png", "-o", "no/map.png", "--model", model], 2, "no folder no"),
        (["photo.png", "-o", "folder.png", "--model", model], 2, "is a folder"),
        (["photo.png", "-o", "photo.png", "--model", model], 2, "the photo itself"),
        (["photo.png", "-o", "map.png", "--model", "nope"], 3, "nope"),
        (["photo.png", "-o", "map.png", "--model", model, "--operating-point", "harsh"], 2, "balanced"),
    ):
        done = explain(*arguments, cwd=tmp_path)  # type: ignore[arg-type]
        assert (done.returncode, done.stdout) == (code, b""), arguments
        assert len(done.stderr.splitlines()) == 1
        assert says in done.stderr.decode()
    assert sorted(tmp_path.iterdir()) == before

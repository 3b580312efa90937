"""The messages that docs/troubleshooting.md quotes are those that the commands print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import ROOT

PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
# What an import says where a package is not installed.
HIDE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


def aiface(*arguments: str | Path, before: str = "", first: Path | None = None) -> tuple[int, str, str]:
    code = f"{before}\nimport sys\nfrom aiface_runtime.cli import main\nsys.exit(main(sys.argv[1:]))"
    paths = [str(first)] * (first is not None) + [os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
    return done.returncode, done.stdout, done.stderr.strip().removeprefix("aiface: ")


def test_without_onnxruntime(portrait: Path) -> None:
    code, _, message = aiface("predict", portrait, before=HIDE)
    assert code == 3
    assert message in PAGE.splitlines()


def test_an_empty_package(portrait: Path, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime/__init__.py").touch()
    code, _, message = aiface("predict", portrait, first=tmp_path)
    assert code == 3
    assert message in PAGE.splitlines()


def test_two_builds(tmp_path: Path) -> None:
    for name in ("onnxruntime", "onnxruntime_gpu"):
        folder = tmp_path / f"{name}-1.32.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.32.0\n")
        (folder / "top_level.txt").write_text("onnxruntime\n")
    _, report, _ = aiface("doctor", first=tmp_path)
    lines = report.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  distributions"))
    assert lines[start : start + 2] == ["  distributions: onnxruntime, onnxruntime-gpu", lines[start + 1]]
    assert set(lines[start : start + 2]) <= set(PAGE.splitlines())


def test_cuda_that_is_not(portrait: Path) -> None:
    code, _, message = aiface("predict", portrait, "--device", "cuda")
    if code == 0:
        pytest.skip("this machine has CUDA")
    assert code == 3
    assert message in PAGE.splitlines()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.jpg", None),
        ("notes.jpg", b"no photo"),
        ("large.pgm", b"P5 9000 9000 255\n" + bytes(1000)),
        ("cut.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
    ],
)
def test_photos(name: str, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    code, _, message = aiface("predict", path)
    assert code == 1
    rows = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert any(row in message for row in rows), message

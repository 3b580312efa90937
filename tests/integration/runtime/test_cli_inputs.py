"""What the arguments of `aiface predict` name, and that no file name passes for something else in its output."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from aiface_runtime.cli.inputs import expand
from tests.support.command import aiface

FORGED = "good.jpg: real (p_ai 0.001)\nother.jpg"
HOSTILE = (
    *("=cmd|' C'!A0.jpg", "+1.jpg", "-1.jpg", "@SUM(1).jpg", "\t=1.jpg", "\r=1.jpg", "\uff1d1.jpg"),
    *(FORGED, "\x1b[2Kbad.jpg", "\x9b2Kbad.jpg", "a\u2028b.jpg", "a\u202egpj.exe.jpg", "caf\udce9.jpg", "\x7f.jpg"),
)


@pytest.fixture
def album(tmp_path: Path, portrait: Path) -> Path:
    """A folder with photos at two depths."""
    for name in ("a/1.jpg", "a/b/2.jpg", "c/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(portrait, tmp_path / name)
    return tmp_path


def names(*arguments: str | Path) -> list[str]:
    """Name the inputs that arguments stand for; what is there to be refused by a reason has a star."""
    return [photo if isinstance(photo, str) else f"{photo.name}*" for photo in expand([str(a) for a in arguments])]  # type: ignore[union-attr]


def test_linked_folders_are_read_once_and_without_cycles(album: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    shutil.copy(album / "c" / "3.jpg", outside / "4.jpg")
    (outside / "back").symlink_to(album)
    (album / "0first").symlink_to(album / "a")  # sorts before what it leads to
    (album / "a" / "b" / "up").symlink_to("../..")
    (album / "c" / "self").symlink_to(".")
    (album / "z").symlink_to(outside)
    (album / "zz").symlink_to(outside)
    (album / "gone").symlink_to("nowhere")
    expected = ["a/1.jpg", "a/b/2.jpg", "c/3.jpg", "z/4.jpg"]
    assert [os.path.relpath(name, album) for name in names(album)] == expected
    assert names(album / "0first")[:2] == [str(album / "0first" / name) for name in ("1.jpg", "b/2.jpg")]


def test_a_folder_without_photos_is_named(album: Path) -> None:
    (album / "nothing").mkdir()
    done = aiface("predict", "--format", "jsonl", "nothing", "a", cwd=album)
    empty, *others = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, done.stderr) == (1, "aiface: nothing: no photos in this folder\n")
    assert (empty["input"], [record["error"] for record in others]) == ("nothing", [None, None])
    assert "no photos in this folder" in empty["error"]["message"]
    text = aiface("predict", "nothing", cwd=album)
    assert (text.returncode, text.stdout, len(text.stderr.splitlines())) == (1, "", 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named_with_the_reason(album: Path) -> None:
    (album / "a").chmod(0)
    done = aiface("predict", "--format", "jsonl", ".", cwd=album)
    (album / "a").chmod(0o755)
    records = {record["input"]: record["error"] for record in map(json.loads, done.stdout.splitlines())}
    assert (done.returncode, records["./c/3.jpg"]) == (1, None)
    assert "Permission denied" in records["./a"]["message"]


def test_a_folder_that_vanishes_while_it_is_scanned_is_an_input_that_cannot_be_read(album: Path) -> None:
    photos = expand([str(album)])
    assert next(photos) == str(album / "a" / "1.jpg")
    shutil.rmtree(album / "a")
    assert [os.path.basename(getattr(photo, "name", photo)) for photo in photos] == ["3.jpg", "b"]  # noqa: PTH119
    shutil.rmtree(album / "c")
    assert names(album / "c", album / "a") == [str(album / "c"), str(album / "a")]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_forge_no_line_and_no_formula(tmp_path: Path, portrait: Path) -> None:
    for name in HOSTILE:
        shutil.copy(portrait, tmp_path / name)
    (tmp_path / "\x1b]0;owned\x07\nx.jpg").write_text("no photo")
    count = len(list(tmp_path.iterdir()))
    text = aiface("predict", ".", cwd=tmp_path)
    lines = text.stdout.splitlines() + text.stderr.splitlines()
    assert len(lines) == count
    assert all(line.isprintable() for line in lines)
    assert all(line.startswith(("./", "aiface: ./")) for line in lines)

    inside = aiface("predict", "--format", "csv", "--", *sorted(os.listdir(tmp_path)), cwd=tmp_path)  # noqa: PTH208
    rows = list(csv.reader(io.StringIO(inside.stdout)))
    assert len(inside.stdout.splitlines()) == len(rows) == count + 1
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))]
    assert any(cell.startswith("'=cmd") for cell in cells)

    records = aiface("predict", "--format", "jsonl", "--", *sorted(os.listdir(tmp_path)), cwd=tmp_path)  # noqa: PTH208
    found = [json.loads(line)["input"] for line in records.stdout.splitlines()]
    assert found == sorted(os.listdir(tmp_path))  # noqa: PTH208  exact, so that a program finds the file again


def test_messages_take_one_line(tmp_path: Path) -> None:
    done = aiface("predict", "a.jpg", "--model", "x\naiface: all is well", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)

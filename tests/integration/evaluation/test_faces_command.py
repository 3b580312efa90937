"""`aiface-evaluate faces`, on a model whose faces are how green a cell is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from aiface_evaluation.cli import main
from aiface_evaluation.halves import half_of
from aiface_evaluation.metrics import share_interval
from aiface_evaluation.records.faces import FaceReport, WarningRates
from tests.support import red_model

CELL, MARGIN = 16, 8  # of a picture of 80 pixels, of which the model sees all but the margin
WIDE, SMALL, TWO = [(0, 0), (0, 1), (1, 0), (1, 1)], [(2, 2)], [(0, 0), (3, 3)]


def draw(file: Path, cells: Sequence[tuple[int, int]] = ()) -> str:
    """Draw a picture with some green cells, given by row and column."""
    picture = Image.new("RGB", (80, 80), (60, 0, 60))
    for row, column in cells:
        corner = (MARGIN + column * CELL, MARGIN + row * CELL)
        picture.paste((0, 255, 0), (*corner, corner[0] + CELL, corner[1] + CELL))
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
    return file.name


@pytest.fixture
def extra(tmp_path: Path) -> Path:
    """Six pictures without a face, of which the statues look like one, and four groups, one of a single face."""
    folder = tmp_path / "extra"
    rows = ["path,set,kind,generator,faces,sha256"]
    for number in range(4):
        rows.append(f"{draw(folder / f'hill-{number}.png')},noface,landscape,,0,")
        rows.append(f"{draw(folder / f'group-{number}.png', TWO if number else WIDE)},group,real photo,,2,")
    rows += [f"{draw(folder / f'statue-{number}.png', WIDE)},noface,statue,,1," for number in range(2)]
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten test photos with a wide face each, but for a small one and one without any."""
    folder = tmp_path / "photos"
    rows, faces = ["path,split,label,source"], ["path,left,top,width,height,score"]
    for number in range(10):
        cells = {0: SMALL, 1: []}.get(number, WIDE)
        name = draw(folder / f"{number}.png", cells)
        rows.append(f"{name},test,{'ai' if number % 2 else 'real'},{'odd' if number % 2 else 'even'}")
        faces += [f"{name},0,0,{12 if cells is SMALL else 60},20,0.9", f"{name},0,0,9,9,0.8"]
    (folder / "manifest.csv").write_text("\n".join(rows))
    (folder / "faces.csv").write_text("\n".join(faces))
    return folder


@pytest.fixture
def green(tmp_path: Path) -> Path:
    return red_model.red_model(tmp_path / "green.onnx", faces=red_model.FACES, returns_faces=True)


def counts(rates: WarningRates) -> tuple[int, ...]:
    """Return how many pictures there are and get each warning, after a look at the intervals."""
    shares = (rates.no_face, rates.small_face, rates.several_faces)
    numbers = tuple(round(share.value * rates.n) for share in shares)
    assert [share.interval for share in shares] == [share_interval(number, rates.n) for number in numbers]
    return rates.n, *numbers


def test_warnings_against_hand_counts(
    green: Path, extra: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["faces", str(green), "--noface", str(extra), "--photos", str(photos)]
    assert main([*command, "-o", str(tmp_path / "faces.json"), "--format", "json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert json.loads((tmp_path / "faces.json").read_text()) == document
    report = FaceReport.from_json(document)
    assert {name: counts(rates) for name, rates in report.noface.items()} == {
        "all": (6, 4, 0, 0),
        "all others": (4, 4, 0, 0),
        "dolls, statues, drawn faces": (2, 0, 0, 0),
    }
    assert {name: counts(rates) for name, rates in report.noface_kinds.items()} == {
        "landscape": (4, 4, 0, 0),
        "statue": (2, 0, 0, 0),
    }
    assert {name: counts(rates) for name, rates in report.groups.items()} == {
        "all": (4, 0, 3, 3),
        "real photo": (4, 0, 3, 3),
    }
    assert {name: counts(rates) for name, rates in report.photos["test"].items()} == {
        "all": (10, 1, 1, 0),
        "real": (5, 0, 1, 0),
        "ai": (5, 1, 0, 0),
    }
    assert {name: counts(rates) for name, rates in report.sources["test"].items()} == {"odd": (5, 1, 0, 0)}
    assert {name: counts(rates) for name, rates in report.face_sizes.items()} == {
        "10 to 20 %": (1, 0, 1, 0),
        "50 % or more": (9, 1, 0, 0),
    }
    assert "| landscape | 4 | 100.0% [39.8%, 100.0%] |" in (tmp_path / "faces.md").read_text()


def test_the_halves_are_all_pictures_once(
    green: Path, extra: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    for half in ("fitted", "held"):
        command = ["faces", str(green), "--noface", str(extra), "--photos", str(photos), "--half", half]
        assert main([*command, "--format", "json"]) == 0
        report = FaceReport.from_json(json.loads(capsys.readouterr().out))
        assert report.half == half
        assert counts(report.photos["test"]["all"])[0] == 10, "photos have splits instead"
        names = [path.name for path in extra.glob("*.png") if half_of(path.name) == half]
        assert report.noface["all"].n + report.groups["all"].n == len(names)
        seen += names
    assert len(seen) == len(set(seen)) == 10


def test_what_cannot_be_measured_is_one_line(
    extra: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = red_model.red_model(tmp_path / "plain.onnx")
    (tmp_path / "manifest.csv").write_text("path,set,kind\na.jpg,crowd,x\n")
    for folder, output, code, says in (
        (extra, "faces.json", 1, "red@1: has no face map"),
        (tmp_path, "faces.json", 1, "set 'crowd' is none of noface, group"),
        (photos.parent / "none", "faces.json", 1, "manifest.csv: no such file"),
        (extra, "faces.txt", 2, "must end in .json"),
        (extra, "none/faces.json", 4, "cannot be written"),
    ):
        words = ["faces", str(plain), "--noface", str(folder), "--photos", str(photos)]
        assert main([*words, "-o", str(tmp_path / output)]) == code
        captured = capsys.readouterr()
        assert (captured.out, len(captured.err.splitlines())) == ("", 1)
        assert says in captured.err


def test_a_picture_that_cannot_be_decoded_is_named_and_left_out(
    green: Path, extra: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "3.png").write_bytes(b"no photo")
    assert main(["faces", str(green), "--noface", str(extra), "--photos", str(photos)]) == 1
    captured = capsys.readouterr()
    assert "1 pictures could not be decoded" in captured.out
    assert "3.png" in captured.err

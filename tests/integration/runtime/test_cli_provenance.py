"""`aiface provenance` and `aiface predict --provenance`, run as a user runs them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.command import aiface
from tests.support.metadata import picture, png_with, text

PROGRAM = "AUTOMATIC1111 or a program that writes its form"
QUOTED = '"a portrait Steps: 20, Sampler: Euler a, Seed: 5" [PNG tEXt parameters]'
SETTINGS = "a portrait\nSteps: 20, Sampler: Euler a, Seed: 5"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "photos"
    (top / "sub").mkdir(parents=True)
    (top / "a.png").write_bytes(png_with(text("tEXt", "parameters", SETTINGS)))
    (top / "b.jpg").write_bytes(picture("JPEG"))
    (top / "sub" / "c.jpg").write_bytes(b"no picture")
    return top


def test_text_names_evidence_and_where_it_stood(folder: Path) -> None:
    done = aiface("provenance", folder / "a.png")
    assert done.returncode == 0
    assert done.stdout.splitlines()[:3] == [
        str(folder / "a.png"),
        "  Content Credentials: none",
        f"  The file carries settings of an image generator ({PROGRAM}): {QUOTED}",
    ]
    assert "cannot be checked here" in done.stdout
    assert "Absence proves nothing" in done.stdout


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_a_folder_has_a_record_for_each_photo_and_a_bad_one_fails_the_run(folder: Path, kind: str) -> None:
    done = aiface("provenance", "--format", kind, folder)
    assert done.returncode == 1
    records = json.loads(done.stdout) if kind == "json" else [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(record["input"]).name for record in records] == ["a.png", "b.jpg", "c.jpg"]
    assert len({tuple(record) for record in records}) == 1
    assert records[0]["findings"][0]["claim"] == "generator_settings"
    assert records[1]["credentials"]["state"] == "absent"
    assert (records[2]["credentials"], records[2]["error"]["code"]) == (None, "not_an_image")


def test_exit_codes_and_standard_input(folder: Path, tmp_path: Path) -> None:
    done = aiface("provenance", "-", stdin=(folder / "a.png").read_bytes())
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "-")
    missing = aiface("provenance", tmp_path / "none.jpg")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "none.jpg: no such file" in missing.stderr
    for wrong in (["--trust", str(tmp_path / "none.pem"), str(folder)], ["--format", "csv", str(folder)], []):
        assert aiface("provenance", *wrong).returncode == 2
    assert aiface("provenance", "--limit", "bytes=10", folder / "a.png").returncode == 1


def test_an_answer_with_it_is_the_answer_without_it(folder: Path) -> None:
    plain = [json.loads(line) for line in aiface("predict", "--format", "jsonl", folder).stdout.splitlines()]
    for options in ((), ("--isolate",)):
        done = aiface("predict", "--provenance", "--format", "jsonl", *options, folder)
        assert done.returncode == 1
        records = [json.loads(line) for line in done.stdout.splitlines()]
        said = [record.pop("provenance") for record in records]
        assert records == plain
        assert [len(each["findings"]) if each else None for each in said] == [1, 0, None]


def test_text_and_csv_of_an_answer(folder: Path) -> None:
    lines = aiface("predict", "--provenance", folder / "a.png").stdout.splitlines()
    assert lines[0] == aiface("predict", folder / "a.png").stdout.rstrip()
    assert lines[1] == "  Content Credentials: none"
    plain = list(csv.reader(io.StringIO(aiface("predict", "--format", "csv", folder).stdout)))
    table = list(csv.reader(io.StringIO(aiface("predict", "--provenance", "--format", "csv", folder).stdout)))
    assert [row[:-3] for row in table] == plain
    assert [row[-3:-1] for row in table] == [["credentials", "issuer"], ["absent", ""], ["absent", ""], ["", ""]]
    assert json.loads(table[1][-1])[0]["where"] == "PNG tEXt parameters"


def test_trust_is_the_user_s_to_extend(tmp_path: Path) -> None:
    pytest.importorskip("encypher_c2pa")
    signer = pytest.importorskip("tests.support.signing").make_signer()
    photo, anchors = tmp_path / "signed.jpg", tmp_path / "anchors.pem"
    photo.write_bytes(signer.sign(picture("JPEG"), "image/jpeg"))
    anchors.write_text(signer.anchor)
    assert "Content Credentials: intact, signer not trusted" in aiface("provenance", photo).stdout
    assert "Content Credentials: intact, signer trusted" in aiface("provenance", "--trust", anchors, photo).stdout

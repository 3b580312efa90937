"""Labelled photos from manifests and folders."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from aiface_evaluation.dataset import Sample, check_files, read_samples
from aiface_evaluation.errors import DataError


def test_a_manifest_says_everything(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "path,label,split,source,generator,original,kind\n"
        "a.jpg,Human,val,camera,,,—\nb.jpg,fake,,net,GAN,a.jpg,edit\nc.jpg,ai\n"
    )
    expected = [
        Sample(tmp_path / "a.jpg", "real", "camera", "", "val"),
        Sample(tmp_path / "b.jpg", "ai", "net", "GAN", "", tmp_path / "a.jpg", "edit"),
        Sample(tmp_path / "c.jpg", "ai", "ai"),
    ]
    assert read_samples(tmp_path) == read_samples(tmp_path / "manifest.csv") == expected
    assert [sample.target for sample in expected] == [0, 1, 1]
    with pytest.raises(DataError, match=r"a\.jpg: is listed but not there \(3 of 3"):
        check_files(expected)


def test_folders_name_labels_and_splits(tmp_path: Path) -> None:
    for name in ("val/Real/x.jpg", "train/ai/site/y.png", "ai/notes.txt", "other/z.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    samples = read_samples(tmp_path)
    assert [(sample.path.name, sample.label, sample.split) for sample in samples] == [
        ("y.png", "ai", "train"),
        ("x.jpg", "real", "val"),
    ]
    check_files(samples)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"path,split\na.jpg,val\n", "lacks the column.s. label"),
        (b"path,label\na.jpg,dog\n", "manifest.csv:2: label 'dog' is neither"),
        (b"path,label\na.jpg\n", "manifest.csv:2: label '' is neither"),
        (b"path,label,split\na.jpg,ai,dev\n", "split 'dev' is none of"),
        (b"path,label\n", "no labelled photos"),
        (b"path,label\n,ai\n", "manifest.csv:2: names no file"),
        (b"path;label\na.jpg\n", "manifest.csv:2: label '' is neither"),
        (b"\xff\xfe\x00", "not a CSV file in UTF-8"),
    ],
)
def test_a_wrong_manifest_says_where(text: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(text)
    with pytest.raises(DataError, match=says):
        read_samples(tmp_path)


@pytest.mark.parametrize(
    ("encoding", "separator", "newline"),
    [
        ("utf-8", ",", "\n"),
        ("utf-8-sig", ",", "\r\n"),
        ("utf-8-sig", ";", "\r\n"),
        ("cp1252", ";", "\r\n"),
        ("utf-16", "\t", "\r\n"),
    ],
)
def test_manifests_as_spreadsheets_write_them(encoding: str, separator: str, newline: str, tmp_path: Path) -> None:
    rows = [("path", "label", "source"), ("Jürgen.jpg", "real", "Café"), ("short.jpg", "ai")]
    text = newline.join(separator.join(row) for row in rows) + newline
    (tmp_path / "manifest.csv").write_bytes(text.encode(encoding))
    (tmp_path / "Jürgen.jpg").touch()
    first, second = read_samples(tmp_path)
    assert first == Sample(tmp_path / "Jürgen.jpg", "real", "Café")
    assert second == Sample(tmp_path / "short.jpg", "ai", "ai")
    check_files([first])


@pytest.mark.parametrize(("name", "says"), [("photo.jpg", "is a photo; give the folder"), ("a.zip", "is an archive")])
def test_a_file_that_is_no_manifest(name: str, says: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("manifest.csv", "path,label\na.jpg,ai\n")
    with pytest.raises(DataError, match=says):
        read_samples(tmp_path / name)


def test_no_data_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="real/ and ai/"):
        read_samples(tmp_path)
    with pytest.raises(DataError, match="no such folder or manifest"):
        read_samples(tmp_path / "none")

"""Answers of a Ray cluster are those of `predict_many`, whatever the photos come from, and whatever dies meanwhile."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aiface_runtime import Classifier
from aiface_runtime.ray import classify
from aiface_runtime.scan.records import SCAN_COLUMNS, from_cells
from tests.support import SHARED

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster
    from ray.data import Dataset

pytestmark = pytest.mark.filterwarnings("default")


def records(answers: Dataset) -> list[dict[str, Any]]:
    """Return the records of a dataset as those of a scan."""
    rows = list(answers.iter_rows())
    assert {tuple(row)[: len(SCAN_COLUMNS)] for row in rows} == {SCAN_COLUMNS}
    return [dict(from_cells({**row, "warnings": row["warnings"] or ""})) for row in rows]


def check(found: list[dict[str, Any]], expected: dict[str, dict[str, Any]]) -> None:
    """Hold records to those of `predict_many`: each once, and the same to the last digit."""
    names = [record["input"] for record in found]
    assert len(names) == len(set(names))
    assert set(names) == set(expected)
    for record in found:
        same = {key: record[key] for key in expected[record["input"]]}
        assert same == expected[record["input"]]


def test_a_folder(cluster: Cluster, folder: Path, expected: dict[str, dict[str, Any]]) -> None:
    check(records(classify(folder)), expected)


def test_bad_photos_are_rows(cluster: Cluster, tmp_path: Path) -> None:
    """Also where no photo is: a folder without one, and a path that leads nowhere."""
    tmp_path.joinpath("empty").mkdir()
    names = [str(tmp_path / "empty"), str(tmp_path / "none.jpg"), str(tmp_path / "empty")]
    found = records(classify(names))
    assert [(record["input"], record["error"]["code"]) for record in found] == [
        (names[0], "unreadable"),
        (names[1], "not_found"),
    ]
    if not SHARED.joinpath("cases").is_dir():
        pytest.skip("../shared/cases is not here: no more bad photos")
    cases = [str(path.resolve()) for path in SHARED.joinpath("cases").iterdir()]
    with Classifier(device="cpu", threads=1) as classifier:
        check(
            records(classify(cases)),
            {answer.input: dict(answer.to_record()) for answer in classifier.predict_many(cases)},
        )


def test_a_dataset_of_bytes(cluster: Cluster, folder: Path, expected: dict[str, dict[str, Any]]) -> None:
    import ray

    source = ray.data.read_binary_files(str(folder / "0"), include_paths=True)
    found = records(classify(source))
    check(found, {name: record for name, record in expected.items() if name.startswith(f"{folder}/0/")})


def test_a_dataset_of_paths(cluster: Cluster, folder: Path, expected: dict[str, dict[str, Any]]) -> None:
    import ray

    names = [name for name in expected if name.startswith(f"{folder}/1/")] + [str(folder / "empty.jpg")]
    source = ray.data.from_items([{"photo": name} for name in [*names, None]])
    *found, none = sorted(
        records(classify(source, column="photo", id_column="photo")), key=lambda row: row["input"] == ""
    )
    check(found, {name: expected[name] for name in names})
    assert none["error"]["code"] == "unreadable"


def test_tar_shards(cluster: Cluster, folder: Path, tmp_path: Path, expected: dict[str, dict[str, Any]]) -> None:
    import ray

    names = [name for name in sorted(expected) if name.startswith(f"{folder}/2/")]
    for number in range(2):
        with tarfile.open(tmp_path / f"{number}.tar", "w") as shard:
            for name in names[number::2]:
                shard.add(name, Path(name).name)
    source = ray.data.read_webdataset(str(tmp_path), decoder=None)
    found = records(classify(source, column="jpg", id_column="__key__"))
    by_key = {Path(name).stem: expected[name] | {"input": Path(name).stem} for name in names}
    check(found, by_key)


def test_a_checkpoint_of_tar_shards(cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    """What was written is not answered again, though the shard is read again."""
    import ray

    names = sorted(folder.joinpath("0").iterdir())[:40]
    for count in (20, 40):
        with tarfile.open(tmp_path / "a.tar", "w") as shard:
            for name in names[:count]:
                shard.add(name, name.name)
        source = ray.data.read_webdataset(str(tmp_path / "a.tar"), decoder=None)
        answers = classify(source, column="jpg", id_column="__key__", checkpoint=tmp_path / "done")
        answers.write_parquet(str(tmp_path / "out"))
    found = records(ray.data.read_parquet(str(tmp_path / "out")))
    assert sorted(record["input"] for record in found) == [name.stem for name in names]

"""`python -m aiface_runtime.ray`: mistakes are one line each, and outputs are settled before a job goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from .conftest import picture


def command(*arguments: object, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-P", *(python or ("-m", "aiface_runtime.ray")), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--address", "127.0.0.1:1"], 2, "no Ray cluster can be reached"),
        (["--num-cpus", "1.5"], 2, "num_cpus 1.5: must be a whole number, or a fraction below 1"),
        (["--num-cpus", "0"], 2, "an actor needs a core or a GPU"),
        (["--concurrency", "3-2"], 2, "the fewest actors and the most"),
        (["--rows-per-file", "0"], 2, "--rows-per-file 0"),
        (["--operating-point", "none"], 2, "none"),
        (["--model", "none.onnx"], 3, "none.onnx"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, options: list[str], code: int, said: str) -> None:
    done = command(tmp_path, tmp_path / "out", *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.startswith("aiface: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_ray_one_line_names_the_extra(tmp_path: Path) -> None:
    start = "import sys; sys.modules['ray'] = None; from aiface_runtime.ray.__main__ import main; sys.exit(main())"
    done = command(tmp_path, tmp_path / "out", python=("-c", start))
    assert done.returncode == 2
    assert 'pip install "aiface[ray]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_actor_that_no_node_can_hold_and_a_device_that_is_not_there(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(picture(0))
    done = command(photo, tmp_path / "out", "--num-cpus", "1000")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no node of this Ray cluster has the 1000 CPU" in done.stderr
    done = command(photo, tmp_path / "out", "--device", "cuda")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("aiface: device 'cuda' cannot be had: "), done.stderr
    assert done.stderr.count("\n") == 1


def part(folder: Path, name: str, ids: list[int], state: str = "") -> None:
    """Write the rows of a part, as far as a job came: its ids are pending, final, or the part is all there is."""
    folder.mkdir(exist_ok=True)
    ids_folder = folder.with_name(folder.name + ".checkpoint")
    ids_folder.mkdir(exist_ok=True)
    table = pa.table(
        {"id": pa.array(ids, pa.int64()), "verdict": ["real"] * len(ids), "error": pa.nulls(len(ids), pa.string())}
    )
    parquet.write_table(table, folder / f"{name}-0.parquet")
    if state:
        parquet.write_table(table.select(["id"]), ids_folder / f"{name}.{state}")


def names(folder: Path) -> tuple[list[str], list[str]]:
    ids_folder = folder.with_name(folder.name + ".checkpoint")
    parts, ids = (sorted(path.name for path in each.iterdir()) for each in (folder, ids_folder))
    return parts, ids


def test_what_a_killed_job_has_left_is_settled(tmp_path: Path) -> None:
    """Rows that the checkpoint does not know for sure go, and ids whose rows are not there."""
    from aiface_runtime.ray.output import Output

    out = tmp_path / "out"
    part(out, "a_1", [1], "parquet")
    part(out, "a_2", [2], "pending.parquet")
    part(out, "a_3", [3])
    part(out, "a_4", [4], "parquet")
    out.joinpath("a_4-0.parquet").unlink()
    part(out, "a_5", [5], "parquet")  # a store copies, and removes then
    part(out, "a_5", [5], "pending.parquet")
    output = Output(str(out))
    output.settle()
    assert names(out) == (["a_1-0.parquet", "a_5-0.parquet"], ["a_1.parquet", "a_5.parquet"])
    assert output.counts()[0] == {"real": 2}


def test_what_a_killed_job_writes_late_is_removed_where_it_is_doubled(tmp_path: Path) -> None:
    from aiface_runtime.ray.output import Output

    out = tmp_path / "out"
    part(out, "old_1", [1], "parquet")
    output = Output(str(out))
    before = output.known()
    part(out, "old_2", [2, 3], "parquet")  # before Ray looked: this job leaves those photos out
    part(out, "old_3", [4, 5], "parquet")  # after it
    part(out, "new_1", [4, 5, 6], "parquet")
    output.remove_late(before, "new")
    assert names(out)[0] == ["new_1-0.parquet", "old_1-0.parquet", "old_2-0.parquet"]

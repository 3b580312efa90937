"""A scan writes each photo's record once, whatever ends it, and answers as `predict_many` does."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from aiface_runtime import Classifier
from aiface_runtime.engine import Engine
from aiface_runtime.errors import OutputError, UsageError
from aiface_runtime.scan import ScanOptions, ScanSummary, scan
from aiface_runtime.table import COLUMNS, Extras
from tests.support.colour_model import SIDE, colour_model
from tests.support.command import Done, aiface
from tests.support.red_model import red_model

RESUME = ScanOptions(resume=True)
FORMATS = ("jsonl", "csv", "parquet")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_model(tmp_path_factory.mktemp("model") / "colour.onnx")


@pytest.fixture(scope="module")
def classifier(model: Path) -> Iterator[Classifier]:
    with Classifier(model) as opened:
        yield opened


def save_photos(folder: Path, count: int, seed: int = 0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    rng, files = np.random.default_rng(seed), [folder / f"{number:05}.png" for number in range(count)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(file, compress_level=1)
    return files


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with 20 photos, a copy of one, an empty file and a text."""
    folder = tmp_path / "photos"
    files = save_photos(folder, 20)
    shutil.copy(files[3], folder / "00003-copy.png")
    folder.joinpath("empty.jpg").touch()
    folder.joinpath("text.jpg").write_text("no photo")
    return folder


def records_of(output: Path) -> list[dict[str, Any]]:
    """Read an output by what others would read it with."""
    if output.suffix == ".jsonl":
        return [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    if output.suffix == ".csv":
        with output.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    rows: list[dict[str, Any]] = pytest.importorskip("pyarrow.parquet").read_table(output).to_pylist()
    return rows


def inputs_of(output: Path) -> list[str]:
    return [record["input"] for record in records_of(output)]


def listed(folder: Path) -> list[str]:
    return sorted(str(file) for file in folder.iterdir())


def test_records_are_those_of_predict_many_in_order(photos: Path, classifier: Classifier, tmp_path: Path) -> None:
    scan(classifier, [photos], tmp_path / "out.jsonl")
    records = records_of(tmp_path / "out.jsonl")
    expected = [answer.to_record() for answer in classifier.predict_many(listed(photos))]
    assert len(records) == len(expected) == 23
    for record, other in zip(records, expected, strict=True):
        for key in other.keys() - {"p_ai", "scores"}:
            assert record[key] == other[key]  # type: ignore[literal-required]
        assert record["p_ai"] == (None if other["p_ai"] is None else pytest.approx(other["p_ai"], abs=1e-6))


@pytest.mark.parametrize("kind", FORMATS)
def test_reasons_and_provenance_are_kept_however_often_a_scan_goes_on(
    kind: str, photos: Path, classifier: Classifier, tmp_path: Path
) -> None:
    copy = photos / "00003-copy.png"
    for name in ("00003.png", copy.name):
        with Image.open(photos / "00003.png") as picture:
            text = PngInfo()
            text.add_text("parameters", "a portrait\nSteps: 20, Sampler: Euler a, Seed: 1")
            picture.save(photos / name, pnginfo=text)
    output, extras = tmp_path / f"out.{kind}", Extras(why=True, provenance=True)
    scan(classifier, [photos], output, ScanOptions(extras=extras))
    (photos / "00007.png").touch()  # its record is made anew, which rewrites the others
    scan(classifier, [photos], output, ScanOptions(resume=True, extras=extras))
    by_name = {record["input"]: record for record in records_of(output)}
    assert len(by_name) == 23
    for answer in classifier.predict_many([copy, photos / "00007.png", photos / "text.jpg"], provenance=True):
        expected, record = extras.record_of(answer), by_name[answer.input]
        said = record["provenance"] if kind == "jsonl" else json.loads(record["provenance"] or "null")
        assert (record["explanation"] or None, said) == (expected["explanation"], expected["provenance"])
    assert "Euler" in str(by_name[str(copy)]["provenance"])
    with pytest.raises(UsageError, match="--overwrite"):
        scan(classifier, [photos], output, RESUME)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_says_the_same(kind: str, photos: Path, classifier: Classifier, tmp_path: Path) -> None:
    output = tmp_path / f"out.{kind}"
    summary = scan(classifier, [photos], output)
    assert inputs_of(output) == listed(photos)
    assert summary.records == summary.answered == 23
    assert sum(summary.verdicts.values()) == 21
    assert (summary.failures, summary.duplicates) == ({"not_an_image": 2}, 1)
    if kind != "jsonl":
        assert tuple(records_of(output)[0])[: len(COLUMNS)] == COLUMNS
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"photos", output.name}
    (tmp_path / f"out.{kind}.new").write_text("of a scan that was killed while it replaced its output")
    again = scan(classifier, [photos], output, RESUME)
    assert {path.name for path in tmp_path.iterdir()} == {"photos", output.name}
    assert (again.answered, again.records, again.verdicts, again.failures, again.duplicates) == (
        *(0, 23, summary.verdicts),
        *(summary.failures, 1),
    )


def test_a_copy_is_answered_once_and_its_file_read_once(
    photos: Path, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []
    run = Engine.run_on_one_core
    monkeypatch.setattr(Engine, "run_on_one_core", lambda self, batch: (ran.append(len(batch)), run(self, batch))[1])
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open" and str(arguments[0]).startswith(str(photos)):
            opened.append(str(arguments[0]))

    for number in range(8):  # in one batch with the first, and in later ones
        shutil.copy(photos / "00000.png", photos / f"0000{number}-b.png")
    sys.addaudithook(watch)
    scan(classifier, [photos], tmp_path / "out.jsonl", ScanOptions(batch_size=8))
    watching = False
    records = {Path(record["input"]).name: record for record in records_of(tmp_path / "out.jsonl")}
    assert sum(ran) == 20
    assert sorted(opened) == listed(photos)
    first = records.pop("00000-b.png")
    copies = [records["00000.png"], *(record for name, record in records.items() if name.endswith("-b.png"))]
    assert (len(copies), first["duplicate_of"]) == (8, None)
    assert {record["duplicate_of"] for record in copies} == {first["input"]}
    assert {record["p_ai"] for record in copies} == {first["p_ai"]}


def test_a_copy_of_what_an_earlier_run_answered_and_of_what_fails(
    photos: Path, classifier: Classifier, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    scan(classifier, [photos], output)
    shutil.copy(photos / "00005.png", photos / "z.png")
    shutil.copy(photos / "text.jpg", photos / "z.jpg")
    summary = scan(classifier, [photos], output, RESUME)
    assert (summary.answered, summary.duplicates) == (2, 3)
    broken, copy = records_of(output)[-2:]
    assert copy["duplicate_of"] == str(photos / "00005.png")
    assert broken["message"].startswith(f"{photos / 'z.jpg'}: not a picture")


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_an_output_cut_anywhere_ends_as_if_it_had_not_been(
    kind: str, photos: Path, classifier: Classifier, tmp_path: Path
) -> None:
    output = tmp_path / f"out.{kind}"
    options = ScanOptions(resume=True, batch_size=1)  # so that no rounding depends on where it was cut
    scan(classifier, [photos], output, options)
    whole = output.read_bytes()
    for end in (*range(0, 450, 7), *random.Random(0).sample(range(len(whole)), 60)):
        output.write_bytes(whole[:end])
        scan(classifier, [photos], output, options)
        assert output.read_bytes() == whole, end


def started(model: Path, folder: Path, output: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-P", "-m", "aiface_runtime", "scan", folder, "-o", output, "--resume", "--model", model]
    return subprocess.Popen([*map(str, words), "--batch-size", "8"], stderr=subprocess.PIPE)


def lines_in(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_killed_at_random_moments_every_photo_is_there_once(
    kind: str, model: Path, classifier: Classifier, tmp_path: Path
) -> None:
    count, kills = (5000, 20) if kind == "jsonl" else (800, 6)
    files, output = save_photos(tmp_path / "photos", count), tmp_path / f"out.{kind}"
    growing = output.with_name("out.parquet.journal") if kind == "parquet" else output
    rng = random.Random(kind)
    for _ in range(kills):
        with started(model, tmp_path / "photos", output) as process:
            goal = lines_in(growing) + rng.randrange(1, count // (kills + 5))
            while lines_in(growing) < goal and process.poll() is None:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.01))
            process.kill()
            process.wait()
            assert process.returncode == -signal.SIGKILL
        if kind == "jsonl":  # what a killed scan leaves is whole records, but for a torn last line
            *whole, _ = output.read_bytes().split(b"\n")
            assert [json.loads(line)["input"] for line in whole] == list(map(str, files[: len(whole)]))
    summary = scan(classifier, [tmp_path / "photos"], output, RESUME)
    assert inputs_of(output) == list(map(str, files))
    assert 0 < summary.answered < count
    assert {path.name for path in tmp_path.iterdir()} == {"photos", output.name}


@pytest.mark.parametrize("kind", FORMATS)
def test_what_changed_is_answered_anew(kind: str, photos: Path, classifier: Classifier, tmp_path: Path) -> None:
    output = tmp_path / f"out.{kind}"
    folder = photos / "late.png"
    folder.mkdir()  # cannot be read now
    scan(classifier, [photos], output)
    old = {record["input"]: record for record in records_of(output)}
    assert (old[str(folder)]["error"] if kind != "jsonl" else old[str(folder)]["error"]["code"]) == "unreadable"
    folder.rmdir()
    shutil.copy(photos / "00001.png", folder)
    changed, gone = photos / "00007.png", photos / "00008.png"
    Image.new("RGB", (SIDE, SIDE), "blue").save(changed)
    gone.unlink()
    summary = scan(classifier, [photos], output, RESUME)
    assert summary.answered == 2
    new = {record["input"]: record for record in records_of(output)}
    assert len(new) == len(records_of(output)) == len(old)  # also that of the photo that is gone
    assert [path for path in old if new[path] != old[path]] == [str(changed), str(folder)]
    assert inputs_of(output)[-2:] == [str(changed), str(folder)]


def test_what_is_compared_and_what_is_tried_again(photos: Path, classifier: Classifier, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"

    def answered(**options: bool) -> int:
        return scan(classifier, [photos], output, ScanOptions(resume=True, **options)).answered

    assert answered() == 23
    for file in photos.iterdir():
        os.utime(file, (1, 1))
    assert answered(by_hash=True) == 1  # the empty file has no content to compare
    state = (photos / "00002.png").stat()
    (photos / "00002.png").write_bytes((photos / "00002.png").read_bytes()[::-1])
    os.utime(photos / "00002.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert answered(by_hash=True) == 1
    assert answered() == 21
    assert answered(retry_failed=True) == 3
    assert sorted(inputs_of(output)) == listed(photos)


def test_paths_are_known_however_they_are_spelled(
    photos: Path, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert scan(classifier, ["photos"], "out.jsonl").answered == 23
    for spelled in ("./photos", photos, "photos/../photos/"):
        assert scan(classifier, [spelled], "out.jsonl", RESUME).answered == 0


def test_a_file_once(photos: Path, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inner = photos / "inner"
    save_photos(inner, 2, seed=1)
    (inner / "loop").symlink_to(photos)
    (photos / ".hidden.png").write_bytes(b"")
    output = photos / "out.jsonl"  # in what is scanned
    twice = [*("photos/00001.png", "photos/inner", "./photos", "photos"), str(photos / "00002.png"), "photos/00001.png"]
    summary = scan(classifier, [*twice, "photos/inner/00000.png"], output)
    assert summary.records == 25
    assert sorted(Path(path).resolve() for path in inputs_of(output)) == sorted(
        path for path in photos.rglob("*.*g") if not path.name.startswith(".")
    )


NAMES = (b"caf\xe9.png", b"a\nb.png", b"a\\nb.png", b"=1+1.png", b"'=1+1.png", "ü\u202e.png".encode(), b"<b>&amp;.png")


@pytest.mark.parametrize("kind", FORMATS)
def test_any_name_can_be_had_back(kind: str, classifier: Classifier, tmp_path: Path) -> None:
    folder, output = tmp_path / "photos", tmp_path / f"out.{kind}"
    for file, name in zip(save_photos(folder, len(NAMES)), NAMES, strict=True):
        file.rename(os.fsdecode(os.fsencode(folder / "x")[:-1] + name))
    (folder / "copy.png").write_bytes((folder / os.fsdecode(NAMES[0])).read_bytes())
    assert scan(classifier, [folder], output).records == len(NAMES) + 1
    found = set()
    for record in records_of(output):
        raw = record.get("input_hex")
        found.add((bytes.fromhex(raw) if raw else os.fsencode(record["input"])).rpartition(b"/")[2])
    assert found == {*NAMES, b"copy.png"}
    assert scan(classifier, [folder], output, RESUME).answered == 0
    output.read_bytes().decode("utf-8") if kind != "parquet" else None


def test_a_photo_that_vanishes_and_a_folder_that_is_not_there(classifier: Classifier, tmp_path: Path) -> None:
    files, output = save_photos(tmp_path / "photos", 40), tmp_path / "out.jsonl"

    def unlink(_: object) -> None:
        files[-1].unlink(missing_ok=True)

    summary = scan(classifier, [tmp_path / "photos", tmp_path / "no"], output, ScanOptions(batch_size=4), unlink)
    assert summary.failures == {"not_found": 2}
    (tmp_path / "none").mkdir()
    assert scan(classifier, [tmp_path / "none"], tmp_path / "none.csv").failures == {"unreadable": 1}


def refusal(*arguments: Any, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        scan(*arguments, ScanOptions(**options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_output_is_never_mixed(photos: Path, classifier: Classifier, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    scan(classifier, [photos], output)
    whole = output.read_bytes()
    assert "--resume" in refusal(classifier, [photos], output)
    with Classifier(operating_point="low_false_alarm") as other:
        assert "another model (colour@1, not " in refusal(other, [photos], output, resume=True)
    same_name = colour_model(
        tmp_path / "b.onnx", ("Sqrt", ["right"], ["x"], {}), ("Identity", ["right"], ["probabilities"], {})
    )
    with Classifier(same_name) as other:
        assert "another model file" in refusal(other, [photos], output, resume=True)
    assert output.read_bytes() == whole
    shutil.copy(output, tmp_path / "out.csv")
    assert "is no CSV of a scan" in refusal(classifier, [photos], tmp_path / "out.csv", resume=True)
    shutil.copy(output, tmp_path / "out.parquet")
    assert "is no Parquet" in refusal(classifier, [photos], tmp_path / "out.parquet", resume=True)
    assert scan(classifier, [photos], output, ScanOptions(overwrite=True)).answered == 23


@pytest.mark.parametrize("text", ["not ours", "not ours\n", '{"input": "a.jpg"}\n', "[]\n", "\n", '{"input": 3\n'])
def test_a_file_of_others_stays_as_it_is(text: str, photos: Path, classifier: Classifier, tmp_path: Path) -> None:
    for name in ("out.jsonl", "out.csv"):
        (tmp_path / name).write_text(text)
        assert "of a scan" in refusal(classifier, [photos], tmp_path / name, resume=True)
        assert (tmp_path / name).read_text() == text


def test_wrong_usage_is_one_line_before_any_work(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "is.csv").mkdir()
    for words, says in (
        ((photos, "-o", "out.txt"), ".jsonl, .csv, .parquet"),
        ((photos, "-o", "no/out.csv"), "make it first"),
        ((photos, "-o", "is.csv"), "no regular file"),
        ((photos, "-o", "out.csv", "--report", "page.pdf"), ".html"),
        (("-", "-o", "out.csv"), "aiface predict"),
        (("-o", "out.csv"), "name folders"),
        ((photos, "-o", "out.csv", "--batch-size", "0"), "batch_size"),
    ):
        done = aiface("scan", *words, "--model", "not opened", cwd=tmp_path)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
        assert says in done.stderr
    assert aiface("scan", photos, "-o", "out.csv", "--model", "nope", cwd=tmp_path).returncode == 3


def test_parquet_without_pyarrow_is_one_line(photos: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None; from aiface_runtime.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", code, "scan", photos, "-o", tmp_path / "out.parquet"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert 'pip install "aiface[parquet]"' in done.stderr


def test_the_command(photos: Path, model: Path, tmp_path: Path) -> None:
    done = aiface("scan", photos, "-o", tmp_path / "out.jsonl", "--model", model)
    assert (done.returncode, done.stdout) == (1, "")
    counts, speed = done.stderr.splitlines()
    assert "23 photos: " in counts
    assert "2 failed (not_an_image 2), 1 duplicate" in counts
    assert "23 answered in " in speed
    (photos / "empty.jpg").unlink()
    (photos / "text.jpg").unlink()
    done = aiface("scan", photos, "-o", tmp_path / "out.jsonl", "--model", model, "--overwrite")
    assert done.returncode == 0
    assert len(records_of(tmp_path / "out.jsonl")) == 21


def test_two_scans_of_one_output(model: Path, classifier: Classifier, tmp_path: Path) -> None:
    save_photos(tmp_path / "photos", 3000)
    output = tmp_path / "out.jsonl"
    with started(model, tmp_path / "photos", output) as process:
        while lines_in(output) < 1 and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        second = aiface("scan", tmp_path / "photos", "-o", output, "--model", model, "--resume")
        process.kill()
    assert (second.returncode, len(second.stderr.splitlines())) == (2, 1)
    assert "another scan" in second.stderr
    assert scan(classifier, [tmp_path / "photos"], output, RESUME).records == 3000  # the kill let go of the lock


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_and_it_says_how_to_go_on(name: str, model: Path, tmp_path: Path) -> None:
    save_photos(tmp_path / "photos", 3000)
    output = tmp_path / "out.jsonl"
    with started(model, tmp_path / "photos", output) as process:
        while lines_in(output) < 1 and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(getattr(signal, name))
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name)
    assert errors.decode().splitlines() == [
        f"aiface: stopped; what was answered is kept: the same command with --resume goes on ({output})"
    ]
    assert 0 < len(records_of(output)) < 3000
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "out.jsonl"}


def limited(blocks: int, *arguments: str | Path) -> Done:
    """Run the command where no file may grow beyond some KiB."""
    words = ["bash", "-c", f'ulimit -f {blocks}; exec "$@"', "bash", sys.executable, "-P", "-m", "aiface_runtime"]
    return subprocess.run([*words, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_is_one_line_and_nothing_is_lost(
    kind: str, model: Path, classifier: Classifier, tmp_path: Path
) -> None:
    files, output = save_photos(tmp_path / "photos", 200), tmp_path / f"out.{kind}"
    done = limited(16, "scan", tmp_path / "photos", "-o", output, "--model", model)
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1), done.stderr
    assert "cannot be written" in done.stderr
    left = output.with_name("out.parquet.journal") if kind == "parquet" else output
    assert left.read_bytes().endswith(b"\n")
    assert lines_in(left) > 10
    summary = scan(classifier, [tmp_path / "photos"], output, RESUME)
    assert summary.answered + lines_in(left if left.exists() else output) >= 200
    assert inputs_of(output) == list(map(str, files))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("more", [(), ("--report", "page.html")])
def test_a_disk_that_is_really_full(more: tuple[str, ...], small_disk: Path, model: Path, tmp_path: Path) -> None:
    save_photos(tmp_path / "photos", 200)
    words = ("scan", tmp_path / "photos", "-o", "out.jsonl", "--model", model, *more)
    done = aiface(*words, cwd=small_disk)
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1), done.stderr
    assert "No space left" in done.stderr
    before = records_of(small_disk / "out.jsonl")
    assert before
    done = aiface(*words, "--resume", cwd=small_disk)
    assert done.returncode == 4
    assert records_of(small_disk / "out.jsonl")[: len(before)] == before


def test_a_disk_that_is_full_when_records_are_replaced(photos: Path, classifier: Classifier, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no limits on this system")
    output = tmp_path / "out.jsonl"
    scan(classifier, [photos], output)
    whole = output.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    os.utime(photos / "00000.png", (1, 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"out\.jsonl: cannot be written"):
            scan(classifier, [photos], output, RESUME)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert output.read_bytes() == whole
    assert {path.name for path in tmp_path.iterdir()} == {"photos", output.name}


def test_a_bar_with_counts_at_a_terminal(model: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")
    save_photos(tmp_path / "photos", 12_000)  # many enough for any machine; it is stopped when the bar has been seen
    leader, follower = pty.openpty()
    words = ["scan", tmp_path / "photos", "-o", tmp_path / "out.jsonl", "--model", model, "--threads", "1"]
    command = [sys.executable, "-P", "-m", "aiface_runtime", *map(str, words)]
    with subprocess.Popen(command, stderr=follower, env=os.environ | {"COLUMNS": "120"}) as process:
        os.close(follower)
        shown = b""
        with suppress(OSError):  # a terminal whose other end is closed has no more to read
            while b" left: " not in shown:
                shown += os.read(leader, 10_000)
        process.kill()
    os.close(leader)
    assert b"/12000, " in shown
    assert b" photos/s, " in shown
    assert b"real " in shown


def test_lines_where_there_is_no_terminal(
    photos: Path,
    classifier: Classifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from aiface_runtime.cli import progress

    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    with progress.ScanProgress() as shown:
        scan(classifier, [photos], tmp_path / "out.jsonl", progress=shown)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 23
    assert all(line.startswith("aiface: ") and " photos/s" in line for line in lines)


def test_one_core_and_isolation(photos: Path, model: Path, tmp_path: Path) -> None:
    def answers(classifier: Classifier, name: str) -> tuple[ScanSummary, list[str]]:
        return scan(classifier, [photos], tmp_path / name), inputs_of(tmp_path / name)

    with Classifier(model, threads=1) as one, Classifier(model, isolate=True) as isolated:
        (first, names), (second, same) = answers(one, "a.jsonl"), answers(isolated, "b.jsonl")
    assert names == same == listed(photos)
    assert (first.verdicts, first.failures, first.duplicates) == (second.verdicts, second.failures, second.duplicates)


def test_a_report_comes_from_the_same_run(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each content is run once, with its evidence; a later report needs no run."""
    ran: list[int] = []
    run = Engine.run_on_one_core_with_evidence
    monkeypatch.setattr(
        Engine, "run_on_one_core_with_evidence", lambda self, batch: (ran.append(len(batch)), run(self, batch))[1]
    )
    output, page = tmp_path / "out.csv", tmp_path / "page.html"
    with Classifier(red_model(tmp_path / "red.onnx")) as classifier:
        scan(classifier, [photos], output, ScanOptions(report=page))
        first = page.read_bytes()
        scan(classifier, [photos], output, ScanOptions(resume=True, report=page))
        assert page.read_bytes() == first
        assert sum(ran) == 20
        listed_alone = ScanOptions(overwrite=True, report=page, report_photos=5)
        scan(classifier, [photos], output, listed_alone)
    data = json.loads(page.read_text("utf-8").partition('id="data">')[2].partition("</script>")[0])
    assert data["map"] == [4, 4]
    scores = [row[2] for row in data["rows"]]
    assert scores == sorted(scores, reverse=True)
    assert (len(scores), sum(data["counts"].values())) == (5, 23)
    assert lines_in(tmp_path / "out.csv.pictures") <= 20


def test_a_report_of_a_model_without_evidence_says_so(photos: Path, classifier: Classifier, tmp_path: Path) -> None:
    scan(classifier, [photos], tmp_path / "out.jsonl", ScanOptions(report=tmp_path / "page.html"))
    assert '"map":null' in (tmp_path / "page.html").read_text("utf-8")


def test_two_scans_that_begin_together_lose_nothing(photos: Path, classifier: Classifier, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"

    def second(_: object) -> None:
        with pytest.raises(UsageError, match="another scan"):
            scan(classifier, [photos], output, RESUME)

    scan(classifier, [photos], output, progress=second)
    assert len(records_of(output)) == 23

"""The `aiface` command as a user types it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.support.command import aiface


@pytest.fixture
def inputs(tmp_path: Path, portrait: Path) -> Path:
    """A folder with good photos at two depths and every kind of bad input."""
    shutil.copy(portrait, tmp_path / "good.jpg")
    data = portrait.read_bytes()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    header = io.BytesIO()
    Image.new("RGB", (1, 1)).save(header, "PNG")
    png = bytearray(header.getvalue())
    png[16:24] = (40_000).to_bytes(4, "big") * 2
    from zlib import crc32

    png[29:33] = crc32(bytes(png[12:29])).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(png)
    (tmp_path / "x.jpg").mkdir()
    (tmp_path / "nothing").mkdir()
    deep = tmp_path / "album" / "2026"
    deep.mkdir(parents=True)
    shutil.copy(portrait, deep / "deep.JPG")
    (deep / "notes.txt").write_text("skipped")
    (deep / ".hidden.jpg").write_text("skipped")
    return tmp_path


BAD = {
    "missing.jpg": "not_found",
    "empty.jpg": "not_an_image",
    "text.jpg": "not_an_image",
    "cut.jpg": "not_an_image",
    "huge.png": "too_large",
    "x.jpg": "unreadable",
    "nothing": "unreadable",
}


def test_every_bad_input_gets_a_record_and_the_others_an_answer(inputs: Path) -> None:
    done = aiface("predict", "--format", "jsonl", "good.jpg", *BAD, "album", cwd=inputs)
    assert done.returncode == 1
    assert done.stderr == "aiface: nothing: no photos in this folder\n"
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["input"] for record in records] == ["good.jpg", *BAD, "album/2026/deep.JPG"]
    for record in records:
        assert {"input", "verdict", "p_ai", "scores", "model", "device", "error"} <= record.keys()
    for record, (name, code) in zip(records[1:-1], BAD.items(), strict=True):
        assert record["p_ai"] is None
        assert record["verdict"] is None
        assert record["error"]["code"] == code
        assert record["error"]["message"].startswith(f"{name}: ")
    assert records[0]["error"] is None
    assert records[0]["p_ai"] == pytest.approx(records[-1]["p_ai"], abs=1e-6)


def test_text_has_answers_on_stdout_and_one_line_an_error_on_stderr(inputs: Path) -> None:
    done = aiface("predict", *BAD, "good.jpg", cwd=inputs)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert done.stdout.startswith("good.jpg: ")
    complaints = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in complaints] == list(BAD)


def test_json_and_csv_say_the_same(inputs: Path) -> None:
    answers = json.loads(aiface("predict", "--format", "json", "good.jpg", "text.jpg", cwd=inputs).stdout)
    rows = list(
        csv.DictReader(io.StringIO(aiface("predict", "--format", "csv", "good.jpg", "text.jpg", cwd=inputs).stdout))
    )
    assert float(rows[0]["p_ai"]) == pytest.approx(answers[0]["p_ai"], abs=1e-6)
    assert json.loads(rows[0]["scores"]).keys() == answers[0]["scores"].keys()
    assert rows[1]["error"] == answers[1]["error"]["code"]
    assert rows[1]["message"] == answers[1]["error"]["message"]


def test_why_is_one_more_key_and_one_more_line(inputs: Path) -> None:
    plain = aiface("predict", "good.jpg", "text.jpg", "--format", "jsonl", cwd=inputs)
    records = [json.loads(line) for line in plain.stdout.splitlines()]
    asked = aiface("predict", "good.jpg", "text.jpg", "--format", "jsonl", "--why", cwd=inputs)
    explained = [json.loads(line) for line in asked.stdout.splitlines()]
    sentence = explained[0]["explanation"]
    assert explained == [records[0] | {"explanation": sentence}, records[1] | {"explanation": None}]
    assert "of 'balanced'" in sentence
    assert json.loads(aiface("predict", "good.jpg", "--format", "json", "--why", cwd=inputs).stdout) == explained[:1]
    text = aiface("predict", "good.jpg", "--why", cwd=inputs).stdout
    assert text == f"{aiface('predict', 'good.jpg', cwd=inputs).stdout}  {sentence}\n"
    table = aiface("predict", "good.jpg", "text.jpg", "--format", "csv", "--why", cwd=inputs).stdout
    assert [row["explanation"] for row in csv.DictReader(io.StringIO(table))] == [sentence, ""]


def test_a_photo_on_stdin(portrait: Path) -> None:
    (record,) = json.loads(aiface("predict", "--format", "json", "-", stdin=portrait.read_bytes()).stdout)
    by_path = json.loads(aiface("predict", "--format", "json", portrait).stdout)[0]
    assert record["input"] == "-"
    assert record["p_ai"] == pytest.approx(by_path["p_ai"], abs=1e-6)


def test_a_name_that_is_not_text(tmp_path: Path, portrait: Path) -> None:
    name = tmp_path / "caf\udce9.jpg"  # latin-1 on a UTF-8 system
    shutil.copy(portrait, name)
    for kind in ("text", "json", "jsonl", "csv"):
        done = aiface("predict", "--format", kind, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["predict", "good.jpg", "--model", "nope"], 3, "nope"),
        (["predict", "good.jpg", "--model", "text.jpg"], 3, "text.jpg"),
        (["predict", "good.jpg", "--device", "directml"], 3, "aiface doctor"),
        (["predict", "good.jpg", "--device", "toaster"], 2, "toaster"),
        (["predict", "good.jpg", "--operating-point", "harsh"], 2, "balanced"),
        (["predict", "good.jpg", "--batch-size", "0"], 2, "batch_size"),
    ],
)
def test_what_cannot_be_had_is_one_line(inputs: Path, arguments: list[str], code: int, says: str) -> None:
    done = aiface(*arguments, cwd=inputs)
    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr


def test_wrong_usage() -> None:
    assert aiface("predict").returncode == 2
    assert aiface("guess").returncode == 2
    assert aiface().returncode == 2


def test_a_reader_that_leaves_early_is_no_error(inputs: Path) -> None:
    command = f"{sys.executable} -P -m aiface_runtime predict {' good.jpg' * 200} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=inputs)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_models() -> None:
    listed = aiface("models", "list").stdout
    name = listed.split()[0]
    assert "(default)" in listed.splitlines()[0]
    document = json.loads(aiface("models", "show").stdout)
    assert document["name"] == name
    assert document == json.loads(aiface("models", "show", name).stdout)
    assert aiface("models", "verify").stdout.startswith(f"{name}: ok")
    assert aiface("models", "verify", "nope.onnx").returncode == 3


def test_bench_measures_files_and_batches() -> None:
    done = aiface("bench", "--rounds", "2", "--threads", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["device"], report["threads"]) == ("cpu", 1)
    times = report["milliseconds"]
    assert times.keys() == {
        *(f"file to answer, {size} JPEG" for size in ("178x218", "1024x1024", "4000x3000")),
        *(f"model, batch of {size}" for size in (1, 8, 32)),
    }
    assert all(0 < time["low"] <= time["median"] <= time["high"] and time["rounds"] == 2 for time in times.values())
    assert "median of 1 rounds" in aiface("bench", "--rounds", "1").stdout
    assert aiface("bench", "--rounds", "0").returncode == 2


def test_limits_and_hash_of_the_model(inputs: Path) -> None:
    photo = str(inputs / "good.jpg")
    for limit in ("bytes=1,000", "scaled_pixels=999"):
        done = aiface("predict", photo, "--limit", limit, "--format", "jsonl")
        assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "too_large")
    assert aiface("predict", photo, "--limit", "bytes=9000000", "--limit", "seconds=2.5", "--isolate").returncode == 0
    for wrong in ("pixel=1", "pixels", "pixels=0", "pixels=many", "seconds=nan"):
        assert "is not NAME=N" in aiface("predict", photo, "--limit", wrong).stderr
    done = aiface("predict", photo, "--sha256", 64 * "0")
    assert (done.returncode, "its SHA-256 is" in done.stderr) == (3, True)


def test_an_onnxruntime_that_was_imported_first_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    program = "import onnxruntime, sys; from aiface_runtime.cli import main; sys.exit(main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "telemetry: may be on: onnxruntime was imported before aiface" in done.stdout


def test_doctor() -> None:
    done = aiface("doctor", "--format", "json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["devices"]["cpu"].startswith("answers")
    assert report["onnxruntime"]["distributions"]
    assert report["threads"]["chosen"] >= 1
    assert {"JPEG", "PNG", "WebP"} <= set(report["photos"]["formats"])
    assert report["photos"]["pixels"] == "30,000,000"
    assert report["onnxruntime"]["telemetry"] == "off"
    assert report["cpu"]["flags"]
    assert "cpu: answers" in aiface("doctor").stdout


def test_a_bar_at_a_terminal_only(inputs: Path) -> None:
    pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")
    names = ["good.jpg", "-", "good.jpg"]
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "aiface_runtime", "predict", "--format", "jsonl", "--batch-size", "1", *names],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=follower, cwd=inputs,
    ) as process:  # fmt: skip
        os.close(follower)
        assert process.stdin is not None
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(1.2)  # the second photo takes longer than work that has no bar
        process.stdin.write((inputs / "good.jpg").read_bytes())
        process.stdin.close()
        lines = [first, *process.stdout.readlines()]
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    assert [json.loads(line)["input"] for line in lines] == names
    assert "] 2/3, " in shown
    assert shown.endswith("\x1b[2K")

"""`aiface-evaluate MODEL PHOTOS`, and the same report by `aiface-train evaluate`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from aiface_evaluation.cli import main
from aiface_evaluation.names import CONDITION_NAMES
from aiface_evaluation.records.results import Evaluation
from aiface_runtime import Classifier
from aiface_training.cli import main as train

MODEL = "aiface-mobilenetv2"


def test_what_it_writes(painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "report"
    assert main([MODEL, str(painted), "-o", str(folder)]) == 0
    captured = capsys.readouterr()
    assert "== val, hard" in captured.out
    assert captured.err == "", "progress is for terminals"
    document = json.loads((folder / "evaluation.json").read_text())
    val = document["splits"]["val"]
    assert [name for name, _ in document["conditions"]] == list(val["conditions"]) == list(CONDITION_NAMES)
    assert sum(part["n_real"] + part["n_ai"] for part in val["image_statistics"]["size"]) == 16
    assert val["resaved"]["formats"]["PNG"] == {"within_0.1": 1.0, "p95": 0.0}
    assert val["resaved"]["formats"]["lossless WebP"]["p95"] == 0.0
    assert document["command"] == f"aiface-evaluate {MODEL} {painted} -o {folder}"
    with Classifier() as classifier:
        points = classifier.manifest.operating_points
        assert document["operating_points"] == {
            name: {"real_below": point.real_below, "ai_from": point.ai_from} for name, point in points.items()
        }
    evaluation = Evaluation.from_json(document)
    assert len(evaluation.photos["val"]) == 16
    page = (folder / "evaluation.md").read_text()
    assert f"{evaluation.splits['val'].conditions['clean'].overall.auc:.3f}" in page
    for name in ("reliability", "roc", "generators"):
        with Image.open(folder / f"evaluation-{name}.png") as plot:
            assert min(plot.size) > 200
        assert f"evaluation-{name}.png" in page
    assert {path.name for path in folder.iterdir()} == {
        "evaluation.json",
        "evaluation.md",
        *(f"evaluation-{name}.png" for name in ("reliability", "roc", "generators")),
    }


def test_both_commands_report_the_same(painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([MODEL, str(painted), "--format", "json"]) == 0
    ours = Evaluation.from_json(json.loads(capsys.readouterr().out)).to_json()
    file = tmp_path / "metrics.json"
    assert train(["evaluate", MODEL, str(painted), "-o", str(file)]) == 0
    theirs = json.loads(file.read_text())
    assert {**ours, "command": ""} == {**theirs, "command": ""}
    assert "metrics-roc.png" in file.with_suffix(".md").read_text()


@pytest.mark.parametrize(("output", "says"), [("metrics.txt", "must end in .json"), ("none/metrics.json", "no folder")])
def test_an_output_that_cannot_be_is_refused_first(
    output: str, says: str, painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(["evaluate", MODEL, str(painted), "-o", str(tmp_path / output)]) == 1
    assert says in capsys.readouterr().err


def test_a_photo_that_cannot_be_decoded_is_named_and_left_out(
    painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(painted / "val", photos)
    (photos / "real" / "broken.jpg").write_bytes(b"no photo")
    assert main([MODEL, str(photos), "-o", str(tmp_path / "report")]) == 1
    captured = capsys.readouterr()
    assert "left out: " in captured.err
    assert "broken.jpg" in captured.err
    assert "1 of 17 photos could not be decoded" in captured.err
    assert "1 photos could not be decoded" in captured.out
    document = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert document["left_out"] == 1
    assert document["splits"]["all"]["conditions"]["clean"]["overall"]["n_real"] == 8
    assert "1 listed photos could not be decoded" in (tmp_path / "report" / "evaluation.md").read_text()


def test_what_cannot_be_evaluated_is_one_line(
    painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    one_label = tmp_path / "one"
    shutil.copytree(painted / "val" / "real", one_label / "real")
    missing = tmp_path / "manifest.csv"
    missing.write_text("path,label\na.jpg,real\nb.jpg,ai\n")
    for model, photos, options, says in (
        ("no-such-model", painted, [], "neither a model file nor a bundled model"),
        (str(tmp_path / "text.onnx"), painted, [], "text.onnx"),
        (MODEL, tmp_path / "none", [], "no such folder or manifest"),
        (MODEL, one_label, [], "no photos labelled ai"),
        (MODEL, missing, [], "a.jpg: is listed but not there"),
        (MODEL, painted, ["--split", "test"], "no photos of the split test, only of train, val"),
    ):
        assert main([model, str(photos), *options]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("aiface-evaluate: ")
        assert says in captured.err
        assert len(captured.err.splitlines()) == 1


def test_wrong_usage_and_unwritable_output(painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([MODEL, str(painted), "--split", "dev"])
    assert stopped.value.code == 2
    capsys.readouterr()
    file = tmp_path / "file"
    file.touch()
    for output in (file, file / "below"):
        assert main([MODEL, str(painted), "-o", str(output)]) == 4
        assert capsys.readouterr().err.startswith(f"aiface-evaluate: {output}: cannot be written")

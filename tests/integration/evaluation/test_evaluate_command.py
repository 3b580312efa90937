"""`aiface-evaluate MODEL PHOTOS`, and the same report by `aiface-train evaluate`."""

from __future__ import annotations

import json
import shutil
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

from aiface_evaluation.cli import main
from aiface_evaluation.dataset import choose_sources, read_samples
from aiface_evaluation.names import CONDITION_NAMES
from aiface_evaluation.records.results import Evaluation
from aiface_evaluation.tasks import task_names, task_sources
from aiface_runtime import Classifier
from aiface_training.cli import main as train

MODEL = "aiface-lite0"


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


@pytest.fixture
def of_sources(painted: Path, tmp_path: Path) -> Path:
    """A manifest in which each label's photos are of two sources in turn, in the splits val and test."""
    rows = ["path,label,split,source"]
    for label in ("real", "ai"):
        for number, photo in enumerate(sorted(painted.glob(f"*/{label}/*.png"))):
            rows.append(f"{photo},{label},{'val' if number < 16 else 'test'},{label}-{number % 2}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    return tmp_path


def test_chosen_sources_alone_are_measured(of_sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splits = ["--split", "val", "--split", "test"]
    assert main([MODEL, str(of_sources), *splits, "--sources", "real-0,ai-1", "--format", "json"]) == 0
    evaluation = Evaluation.from_json(json.loads(capsys.readouterr().out))
    assert evaluation.splits.keys() == {"val", "test"}
    for result in evaluation.splits.values():
        clean = result.conditions["clean"]
        assert {name: group.n for name, group in clean.sources.items()} == {"ai-1": 8, "real-0": 8}
        for name in ("accuracy", "f1", "auc"):
            low, high = clean.overall.intervals[name]
            assert low <= getattr(clean.overall, name) <= high


def test_sources_that_are_not_there_are_named(of_sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, says in (
        (["--sources", "real-0,none"], "has no source none; its column source names those it has"),
        (["--sources", "real-0"], "has no photos labelled ai"),
        (["--task", "celeba-tpdne"], "has no source celeb-aligned-real, celeba-wild, "),
    ):
        assert main([MODEL, str(of_sources), *options]) == 1
        captured = capsys.readouterr()
        assert (captured.out, len(captured.err.splitlines())) == ("", 1)
        assert says in captured.err


def test_the_sources_of_a_task_are_in_the_photos(shared_data: Path) -> None:
    """Each split has photos of both labels, and every source the label and the split that its reason tells."""
    samples = read_samples(shared_data)
    for name in task_names():
        task = tomllib.loads(files("aiface_evaluation.tasks").joinpath(f"{name}.toml").read_text(encoding="utf-8"))
        chosen = choose_sources(samples, task_sources(name), shared_data)
        measured = {(s.split, s.source): s.label for s in chosen if s.split != "train"}
        told = {tuple(reason.partition(":")[0].lower().split(", ")) for reason in task["sources"].values()}
        assert told == {(split, label) for split in ("val", "test") for label in ("real", "ai")}
        for source, reason in task["sources"].items():
            split, label = reason.partition(":")[0].lower().split(", ")
            assert measured[split, source] == label


def test_what_cannot_be_evaluated_is_one_line(
    painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    one_label = tmp_path / "one"
    shutil.copytree(painted / "val" / "real", one_label / "real")
    missing = tmp_path / "manifest.csv"
    missing.write_text("path,label\na.jpg,real\nb.jpg,ai\n")
    for model, photos, options, says in (
        ("no-such-model", painted, [], "neither a model file nor an installed model"),
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

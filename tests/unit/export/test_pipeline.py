"""An export from a hand-written source to a file, or to nothing at all."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from aiface_evaluation.errors import DataError
from aiface_evaluation.records.fitted_points import FittedPoint
from aiface_export.checkpoint_record import CheckpointRecord
from aiface_export.errors import ExportError, ParityError
from aiface_export.options import ExportOptions
from aiface_export.pipeline import export
from aiface_runtime import Classifier
from aiface_runtime.manifest import KEY
from aiface_runtime.onnx_bytes import content_sha256
from aiface_runtime.steps import ResizeShorter
from tests.support.tiny_source import WEIGHTS, TinySource, tiny_graph, tiny_source

ROOT = Path(__file__).resolve().parents[3]
STOPPED = """
import os, signal, sys
from pathlib import Path
from aiface_export.pipeline import export
from aiface_export.options import ExportOptions
from aiface_runtime.cli.program import run_program
from tests.support.tiny_source import tiny_source
def progress(line):
    if line.startswith({step!r}):
        os.kill(os.getpid(), signal.SIGTERM)
sys.exit(run_program("test", lambda: export(tiny_source(), Path({file!r}), ExportOptions(), progress) and 0))
"""
LIMITED = """
import resource
from pathlib import Path
from aiface_export.pipeline import export
from tests.support.tiny_source import tiny_source
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
export(tiny_source(), Path({file!r}))
"""


def test_the_file_answers_like_the_source_and_says_what_it_is(tmp_path: Path, portrait: Path) -> None:
    options = ExportOptions(name="other", model_version="7", command="aiface-export tiny")
    record = CheckpointRecord(licence="Apache-2.0", training={"commands": ["made by hand"]})
    lines: list[str] = []
    exported = export(tiny_source(record=record), tmp_path / "new" / "tiny.onnx", options, lines.append)
    assert [path.name for path in exported.file.parent.iterdir()] == ["tiny.onnx"]
    with Classifier(exported.file, device="cpu") as classifier:
        answer = classifier.predict(portrait)
        document = dict(classifier.manifest.document)
    np.testing.assert_allclose(list(answer.scores.values()), tiny_source().probabilities([portrait])[0], atol=1e-6)
    assert answer.model == "other@7"
    assert document.pop("graph_sha256") == content_sha256(exported.file.read_bytes())
    assert len(document.pop("self_test")["inputs"]) == 2
    assert document == json.loads(json.dumps(exported.manifest))
    assert document.keys() == {
        *("schema", "name", "version", "labels", "ai_labels", "input", "operating_points", "evidence", "faces"),
        *("calibration", "evaluation", "training", "source", "export", "licence", "limits", "parity"),
    }
    assert document["export"].keys() == {"exporter", "trials", "opset", "versions", "command", "precision"}
    assert document["export"]["precision"].keys() == {"requested", "chosen", "gate", "candidates", "held_out"}
    assert document["export"]["command"] == "aiface-export tiny"
    assert document["operating_points"] == {"balanced": {"real_below": 0.5, "ai_from": 0.5}}
    assert (document["licence"], document["training"]) == ("Apache-2.0", {"commands": ["made by hand"]})
    assert document["parity"]["evidence_difference"] <= 1e-4
    assert exported.report()["size"] == exported.file.stat().st_size
    assert [line.split()[0] for line in lines] == ["converting", "proving", "measuring"]


def test_label_order_and_meaning_are_the_sources(tmp_path: Path, portrait: Path) -> None:
    source = tiny_source(labels=("Fake", "Real"), ai_labels=("Fake",))
    answer = Classifier(export(source, tmp_path / "tiny.onnx").file).predict(portrait)
    assert list(answer.scores) == ["Fake", "Real"]
    assert answer.p_ai == answer.scores["Fake"]
    assert answer.p_ai == pytest.approx(source.probabilities([portrait])[0, 0], abs=1e-6)


def test_three_labels(tmp_path: Path, portrait: Path) -> None:
    weights = np.concatenate([WEIGHTS, WEIGHTS[:, :1] / 2], axis=1)
    source = tiny_source(weights=weights, labels=("real", "ai", "deepfake"), ai_labels=("ai", "deepfake"))
    answer = Classifier(export(source, tmp_path / "tiny.onnx").file).predict(portrait)
    assert answer.p_ai == pytest.approx(source.probabilities([portrait])[0, 1:].sum(), abs=1e-6)


def test_scaled_decoding_is_the_users_choice(tmp_path: Path) -> None:
    for chosen, expected in ((False, None), (True, 2.0)):
        file = export(tiny_source(), tmp_path / "tiny.onnx", ExportOptions(scaled_decoding=chosen)).file
        assert Classifier(file).manifest.scaled_decoding == expected


def test_scaled_decoding_needs_a_filter_that_averages(tmp_path: Path) -> None:
    source = tiny_source(resize=ResizeShorter(8, "bilinear_no_antialias"))
    with pytest.raises(ExportError, match="--scaled-decoding"):
        export(source, tmp_path / "tiny.onnx", ExportOptions(scaled_decoding=True))
    assert not list(tmp_path.iterdir())


def test_the_output_is_an_onnx_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"must end in \.onnx"):
        export(tiny_source(), tmp_path / "tiny.bin")


def test_int8_needs_photos(tmp_path: Path, painted: Path) -> None:
    with pytest.raises(DataError, match="needs --images"):
        export(tiny_source(), tmp_path / "tiny.onnx", ExportOptions(precision="int8"))
    options = ExportOptions(precision="auto", images=painted / "val" / "real")
    with pytest.raises(DataError, match="2 photos to calibrate int8 on, at least 8"):
        export(tiny_source(), tmp_path / "tiny.onnx", options)


@pytest.mark.parametrize("precision", ["fp16", "auto"])
def test_a_variant_is_verified_as_a_file(precision: str, tmp_path: Path, painted: Path) -> None:
    options = ExportOptions(precision=precision, images=painted)
    report = export(tiny_source(), tmp_path / "tiny.onnx", options).report()["precision"]
    assert report["requested"] == precision
    assert ("batch_difference" in report["candidates"][report["chosen"]]) == (report["chosen"] != "fp32")
    assert report["held_out"] == "16 of the 64 photos in " + painted.name
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def refused_by_the_runtime(source: TinySource) -> TinySource:
    points = {"balanced": FittedPoint(real_below=0.9, ai_from=0.1)}
    return replace(source, record=CheckpointRecord(operating_points=points))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (tiny_source(tiny_graph(WEIGHTS * 1.01)), "does not give the original's answers"),
        (tiny_source(tiny_graph(WEIGHTS, "GlobalMaxPool")), "does not give the original's answers"),
        (refused_by_the_runtime(tiny_source()), "the runtime cannot use"),
    ],
)
def test_what_is_not_proved_is_not_written(source: TinySource, says: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.onnx"
    file.write_text("what was there before")
    with pytest.raises(ParityError, match=says):
        export(source, file)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["what was there before"]


def test_folders_of_a_failed_export_go(tmp_path: Path) -> None:
    with pytest.raises(ParityError):
        export(tiny_source(tiny_graph(WEIGHTS * 1.01)), tmp_path / "made" / "deep" / "tiny.onnx")
    assert not list(tmp_path.iterdir())
    (tmp_path / "made").mkdir()
    with pytest.raises(ParityError):
        export(tiny_source(tiny_graph(WEIGHTS * 1.01)), tmp_path / "made" / "deep" / "tiny.onnx")
    assert [path.name for path in tmp_path.rglob("*")] == ["made"]


@pytest.mark.parametrize("step", ["converting", "proving", "measuring"])
def test_a_signal_leaves_nothing(step: str, tmp_path: Path) -> None:
    code = STOPPED.format(file=str(tmp_path / "made" / "tiny.onnx"), step=step)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 128 + signal.SIGTERM, run.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "says"), [("photo.jpg", "is a photo"), ("photos.zip", "is an archive")])
def test_photos_that_are_no_folder(name: str, says: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("real/a.jpg", "")
    for options in (ExportOptions(images=tmp_path / name), ExportOptions(calibrate_on=tmp_path / name)):
        with pytest.raises(DataError, match=says):
            export(tiny_source(), tmp_path / "made" / "tiny.onnx", options)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_damaged_manifest_does_not_cost_the_labels(tmp_path: Path, painted: Path) -> None:
    shutil.copytree(painted / "val", tmp_path / "photos")
    (tmp_path / "photos" / "manifest.csv").write_text("path,label\nreal/0.png,real\nai/0.png\n")
    with pytest.raises(DataError, match=r"manifest\.csv:3: label '' is neither real nor ai"):
        export(tiny_source(), tmp_path / "tiny.onnx", ExportOptions(images=tmp_path / "photos"))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written"):
        export(tiny_source(), tmp_path / "file" / "tiny.onnx")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """The file system refuses to write more than 500 bytes."""
    file = tmp_path / "tiny.onnx"
    file.write_text("what was there before")
    code = LIMITED.format(file=str(file))
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(f"aiface_export.errors.ExportError: {file}: cannot be written")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["what was there before"]


def test_exporting_the_same_source_twice_gives_the_same_graph(tmp_path: Path) -> None:
    """All but the manifest, which has timings."""
    graphs = []
    for name in ("one.onnx", "two.onnx"):
        model = onnx.load(export(tiny_source(), tmp_path / name, ExportOptions(name="tiny")).file)
        assert [entry.key for entry in model.metadata_props] == [KEY]
        del model.metadata_props[:]
        graphs.append(model.SerializeToString())
    assert graphs[0] == graphs[1]

"""`aiface-evaluate calibrate MODEL PHOTOS -o NEW.onnx`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.special import logit

from aiface_evaluation.calibration import ai_margin
from aiface_evaluation.cli import main
from aiface_evaluation.conditions import CONDITIONS
from aiface_evaluation.dataset import Sample, read_samples
from aiface_evaluation.evaluate import ModelScorer
from aiface_runtime import Classifier
from aiface_runtime.catalog import resolve
from aiface_runtime.manifest import KEY, SCHEMA

MODEL = "aiface-lite0"


@pytest.fixture(scope="module")
def val(painted: Path) -> list[Sample]:
    return [sample for sample in read_samples(painted) if sample.split == "val"]


@pytest.fixture(scope="module")
def calibrated(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model, calibrated on painted photos with a wished false positive rate."""
    before = resolve(MODEL).read_bytes()
    file = tmp_path_factory.mktemp("calibrated") / "new.onnx"
    assert main(["calibrate", MODEL, str(painted), "-o", str(file), "--max-fpr", "0.125"]) == 0
    assert resolve(MODEL).read_bytes() == before, "the bundled file is not touched"
    assert [path.name for path in file.parent.iterdir()] == ["new.onnx"]
    return file


def manifest(file: Path) -> dict[str, Any]:
    with Classifier(file) as classifier:
        return dict(classifier.manifest.document)


def test_the_new_file_answers_as_fitted(calibrated: Path, val: list[Sample]) -> None:
    record = manifest(calibrated)["calibration"]
    before, after = (ModelScorer(name).score(val, tuple(CONDITIONS), iter) for name in (MODEL, str(calibrated)))
    for condition in CONDITIONS:
        expected = record["slope"] * logit(before[condition]) + record["bias"]
        np.testing.assert_allclose(logit(after[condition]), expected, atol=1e-4)
        assert np.abs(after[condition] - before[condition]).max() > 0.01, "or nothing would be shown"
    assert record["ece_after"].keys() == record["ece_before"].keys() == set(CONDITIONS)
    assert np.mean(list(record["nll_after"].values())) < np.mean(list(record["nll_before"].values()))
    assert np.mean(list(record["ece_after"].values())) < np.mean(list(record["ece_before"].values()))


def test_its_manifest_tells_what_was_done(calibrated: Path) -> None:
    old, new = manifest(resolve(MODEL)), manifest(calibrated)
    record = new["calibration"]
    assert (new["name"], new["version"]) == (old["name"], f"{old['version']}+calibrated")
    assert new["evaluation"] is None, "it was measured with other probabilities"
    assert new["parity"] is None
    assert new["reasons"] is None
    assert record["source_sha256"] == hashlib.sha256(resolve(MODEL).read_bytes()).hexdigest()
    assert record["photos"] == {"real": 8, "ai": 8}
    assert record["command"].startswith(f"aiface-evaluate calibrate {MODEL} ")
    assert "8 real photos are too few" in record["warning"]
    changed = {
        "version",
        "calibration",
        "operating_points",
        "evaluation",
        "parity",
        "evidence",
        "graph_sha256",
        "self_test",
        "reasons",
    }
    assert {name: new[name] for name in old.keys() - changed} == {name: old[name] for name in old.keys() - changed}


def test_evidence_still_adds_up(calibrated: Path, val: list[Sample]) -> None:
    slope = manifest(calibrated)["calibration"]["slope"]
    with Classifier(MODEL) as old, Classifier(calibrated) as new:
        for sample in val[::4]:
            before, after = (classifier.explain(sample.path) for classifier in (old, new))
            assert after.evidence.mean() + after.bias == pytest.approx(logit(after.prediction.p_ai), abs=1e-4)
            np.testing.assert_allclose(after.evidence, slope * before.evidence, rtol=1e-4, atol=1e-6)


def test_the_wished_false_positive_rate_holds(calibrated: Path, val: list[Sample]) -> None:
    points = manifest(calibrated)["operating_points"]
    scores = ModelScorer(str(calibrated)).score(val, tuple(CONDITIONS), iter)
    real = np.array([sample.label == "real" for sample in val])
    for condition in ("clean", "web"):
        rate = (scores[condition][real] >= points["balanced"]["ai_from"]).mean()
        assert rate <= 0.125
        assert points["balanced"]["measured"][condition]["false_positive_rate"] == rate


def test_a_calibrated_file_can_be_calibrated_again(calibrated: Path, painted: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.onnx"
    options = ["--condition", "clean", "--name", "mine", "--model-version", "7"]
    assert main(["calibrate", str(calibrated), str(painted), "-o", str(again), *options]) == 0
    document = manifest(again)
    assert (document["name"], document["version"]) == ("mine", "7")
    assert document["calibration"]["ece_after"].keys() == {"clean"}
    assert "max_fpr" not in document["calibration"]
    assert main(["calibrate", str(again), str(painted), "-o", str(again.with_name("third.onnx")), *options]) == 0
    third = manifest(again.with_name("third.onnx"))["calibration"]
    assert (third["slope"], third["bias"]) == (pytest.approx(1, abs=0.01), pytest.approx(0, abs=0.01))


def small_model(file: Path, last: str, labels: list[str]) -> Path:
    """Write a model file of one linear layer on the mean colour; it has no evidence."""
    rng = np.random.default_rng(0)
    constants = {
        "weights": rng.normal(0, 0.02, (3, len(labels))).astype(np.float32),
        "shift": rng.normal(0, 1, len(labels)).astype(np.float32),
        "axes": np.array([1, 2]),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["products"]),
        helper.make_node("Add", ["products", "shift"], ["logits"]),
        helper.make_node(last, ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 8, 8, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(labels)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    document = {
        "schema": SCHEMA,
        "name": "small",
        "version": "1",
        "labels": labels,
        "ai_labels": labels[1:],
        "input": {"height": 8, "width": 8, "steps": [{"op": "resize", "height": 8, "width": 8, "filter": "bilinear"}]},
        "operating_points": {"balanced": {"real_below": 0.5, "ai_from": 0.5}},
    }
    helper.set_model_props(model, {KEY: json.dumps(document)})
    onnx.save(model, file)
    return file


def test_three_labels_of_which_two_mean_ai(painted: Path, val: list[Sample], tmp_path: Path) -> None:
    old, new = small_model(tmp_path / "old.onnx", "Softmax", ["real", "gan", "diffusion"]), tmp_path / "new.onnx"
    assert main(["calibrate", str(old), str(painted), "-o", str(new), "--max-fpr", "0.5"]) == 0
    record = manifest(new)["calibration"]
    assert "warning" not in record, "eight real photos suffice for a rate of a half"
    before, after = (ModelScorer(str(file)).probabilities(val, ("web",), iter)["web"] for file in (old, new))
    np.testing.assert_allclose(
        ai_margin(after, [1, 2]), ai_margin(before, [1, 2], 1 / record["slope"]) + record["bias"], atol=1e-4
    )


def test_what_cannot_be_calibrated_is_one_line(
    painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hardmax = small_model(tmp_path / "hardmax.onnx", "Hardmax", ["real", "ai"])
    own = small_model(tmp_path / "own.onnx", "Softmax", ["real", "ai"])
    new = tmp_path / "new.onnx"
    for model, photos, output, code, says in (
        (str(hardmax), painted, new, 1, "ends in Hardmax, not in Softmax"),
        (MODEL, tmp_path / "none", new, 1, "no such folder"),
        (MODEL, painted / "val" / "real", new, 1, "real/ and ai/"),
        ("no-such-model", painted, new, 1, "neither a model file nor an installed model"),
        (MODEL, painted, tmp_path / "new.txt", 2, "must end in .onnx"),
        (str(own), painted, own, 2, "is the model itself"),
        (MODEL, painted, tmp_path / "none" / "new.onnx", 4, "cannot be written"),
    ):
        assert main(["calibrate", model, str(photos), "-o", str(output)]) == code
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("aiface-evaluate: ")
        assert says in captured.err
        assert len(captured.err.splitlines()) == 1
    assert not new.exists()
    assert own.read_bytes() == small_model(tmp_path / "same.onnx", "Softmax", ["real", "ai"]).read_bytes()
    for rate in ("0", "1", "-0.1", "much"):
        with pytest.raises(SystemExit) as stopped:
            main(["calibrate", MODEL, str(painted), "-o", str(new), f"--max-fpr={rate}"])
        assert stopped.value.code == 2

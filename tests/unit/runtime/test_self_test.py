"""A file carries inputs and its answers to them; what does not reproduce these is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from aiface_evaluation.write_model import write_model
from aiface_export.rewrite import main, rewrite
from aiface_runtime import Classifier, errors
from aiface_runtime.catalog import load
from aiface_runtime.manifest import KEY
from aiface_runtime.onnx_bytes import content_sha256
from tests.support.red_model import FACES, red_model


def document_of(model: onnx.ModelProto) -> dict[str, Any]:
    return dict(json.loads(model.metadata_props[0].value))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as this version writes it, with evidence and face map."""
    file = red_model(tmp_path_factory.mktemp("model") / "red.onnx", faces=FACES, returns_faces=True)
    rewrite(file)
    return file


def changed(written: Path, file: Path, weights: Mapping[str, float] = {}, **manifest: Any) -> Path:
    """Write a copy of a file with constants times a factor, and other entries of the manifest."""
    model = onnx.load(written)
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array((value * weights[tensor.name]).astype(value.dtype), tensor.name))
    model.metadata_props[0].value = json.dumps(document_of(model) | manifest)
    onnx.save(model, file)
    return file


def test_what_is_written(written: Path) -> None:
    manifest = Classifier(written, device="cpu").manifest
    assert manifest.graph_sha256 == content_sha256(written.read_bytes())
    test = manifest.self_test
    assert test.answers is not None
    assert [answer.keys() for answer in test.answers] == [{"probabilities", "faces", "evidence"}] * 2
    p_ai = [answer["probabilities"][1] for answer in test.answers]
    assert np.diff(p_ai).min() > 2 * test.tolerance, "answers that are close would not tell the rows apart"
    assert test.photos(64, 64).shape == (2, 64, 64, 3)


def test_the_bundled_file_has_it() -> None:
    model = load(None)
    manifest = model.manifest()
    assert manifest.graph_sha256 == content_sha256(model.data)
    assert manifest.self_test.answers is not None
    assert manifest.self_test.answers[0].keys() == manifest.output_shapes.keys()


@pytest.mark.parametrize(
    ("weights", "output"),
    [
        ({"weights": 0.0}, "probabilities"),
        ({"weights": -1.0}, "probabilities"),
        ({"bias": 3.0}, "probabilities"),
        ({"kernel": 2.0}, "evidence"),
        ({"green": 0.2}, "faces"),
    ],
)
def test_a_damaged_graph_is_refused(weights: dict[str, float], output: str, written: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.ModelCorruptError, match="its graph is not the one"):
        Classifier(changed(written, tmp_path / "hash.onnx", weights), device="cpu")
    file = changed(written, tmp_path / "no-hash.onnx", weights, graph_sha256=None)
    with pytest.raises(errors.ModelCorruptError, match=f"self-test: its {output} are not those stored"):
        Classifier(file, device="cpu")


def test_the_rounding_of_another_processor_is_no_damage(written: Path, tmp_path: Path) -> None:
    weights = {"weights": 1.01, "kernel": 0.99, "green": 1.01}
    assert Classifier(changed(written, tmp_path / "near.onnx", weights, graph_sha256=None), device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        {"side": 9},
        {"side": True},
        {"tolerance": 1.0},
        {"tolerance": None},
        {"inputs": []},
        {"inputs": ["!", "!"]},
        {"inputs": 3},
        {"probabilities": [[0.5, 0.5]] * 3},
        {"probabilities": [[0.5], [0.5]]},
        {"probabilities": [["0.5", "0.5"]] * 2},
        {"evidence": None},
        {"faces": [0.5] * 2},
    ],
    ids=str,
)
def test_a_self_test_of_another_form_is_refused(change: dict[str, Any], written: Path, tmp_path: Path) -> None:
    whole = document_of(onnx.load(written))["self_test"]
    file = changed(written, tmp_path / "model.onnx", self_test=whole | change)
    with pytest.raises(errors.ManifestError, match=r"^\S+model\.onnx: the model's manifest "):
        Classifier(file, device="cpu")


def test_int8_has_a_wider_tolerance(written: Path, tmp_path: Path) -> None:
    graph = onnx.load(written)
    document = document_of(graph) | {"export": {"precision": {"chosen": "int8"}}}
    write_model(graph, document, tmp_path / "int8.onnx", "a test")
    assert Classifier(tmp_path / "int8.onnx", device="cpu").manifest.self_test.tolerance == 0.1


def test_files_are_rewritten_with_equal_graphs(tmp_path: Path) -> None:
    file = tmp_path / "aiface-lite0.onnx"
    published = load(None)
    old = onnx.load_model_from_string(published.data)
    document = document_of(old)
    expected = document.pop("self_test"), document.pop("graph_sha256")
    old.metadata_props[0].value = json.dumps(document)
    onnx.save(old, file)
    (tmp_path / "index.json").write_text('{"default": "other", "models": {}}')
    main([str(file)])
    new = onnx.load(file)
    assert new.graph.SerializeToString() == old.graph.SerializeToString()
    assert {entry.key for entry in new.metadata_props} == {KEY}
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["default"] == "other"
    assert index["models"][document["name"]]["sha256"] == load(file).sha256
    assert file.with_suffix(".md").is_file()
    rewritten = document_of(new)
    assert rewritten["self_test"]["inputs"] == expected[0]["inputs"]
    assert rewritten.keys() == document.keys() | {"self_test", "graph_sha256"}

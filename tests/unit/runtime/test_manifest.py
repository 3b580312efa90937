"""A manifest is believed only when it is whole and does not contradict itself."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from aiface_runtime import Classifier
from aiface_runtime.errors import ManifestError
from aiface_runtime.manifest import FaceMap, parse_manifest
from aiface_runtime.steps import step_to_json

FACES = {"height": 7, "width": 7, "present_from": 0.6, "cell_from": 0.5, "small_below": 0.04}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(Classifier(device="cpu").manifest.document)


def test_what_the_bundled_model_says_of_itself(document: dict[str, Any]) -> None:
    manifest = parse_manifest(json.dumps(document), "bundled")
    assert [step_to_json(step) for step in manifest.steps] == document["input"]["steps"]
    assert {
        "calibration",
        "evaluation",
        "export",
        "licence",
        "limits",
        "parity",
        "source",
        "training",
    } <= document.keys()
    assert document["parity"]["max_difference"] <= document["parity"]["tolerance"]
    assert document["parity"]["label_agreement"] == 1.0


def test_the_face_map_is_read(document: dict[str, Any]) -> None:
    manifest = parse_manifest(json.dumps(document | {"faces": FACES, "self_test": None}), "model.onnx")
    assert manifest.faces == FaceMap(**FACES)  # type: ignore[arg-type]
    assert parse_manifest(json.dumps(document | {"faces": None}), "model.onnx").faces is None


BREAKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another schema": lambda d: d.update(schema=2),
    "no labels": lambda d: d.pop("labels"),
    "one label": lambda d: d.update(labels=["ai"]),
    "labels that repeat": lambda d: d.update(labels=["ai", "ai"]),
    "every label is ai": lambda d: d.update(ai_labels=["real", "ai"]),
    "an ai label that is none": lambda d: d.update(ai_labels=["fake"]),
    "an unknown step": lambda d: d["input"]["steps"].append({"op": "sharpen"}),
    "an unknown filter": lambda d: d["input"].update(
        steps=[{"op": "resize", "height": 9, "width": 9, "filter": "best"}]
    ),
    "a step with a field too many": lambda d: d["input"]["steps"][0].update(antialias=True),
    "steps that end elsewhere": lambda d: d["input"].update(height=d["input"]["height"] + 1),
    "no steps": lambda d: d["input"].update(steps=[]),
    "a crop beyond the photo": lambda d: d["input"]["steps"].insert(0, {"op": "center_crop", "height": 9, "width": 9}),
    "a size that is no number": lambda d: d["input"].update(width="224"),
    "scaled decoding that enlarges": lambda d: d["input"].update(scaled_decoding=0.5),
    "scaled decoding before a resize that looks at four pixels": lambda d: d["input"].update(
        steps=[{"op": "resize", "height": 224, "width": 224, "filter": "bilinear_no_antialias"}], scaled_decoding=2
    ),
    "evidence without a bias": lambda d: d.update(evidence={"height": 7, "width": 7}),
    "evidence with a bias that is no number": lambda d: d.update(evidence={"height": 7, "width": 7, "bias": "0"}),
    "evidence of no cells": lambda d: d.update(evidence={"height": 0, "width": 7, "bias": 0.0}),
    "faces that are a number": lambda d: d.update(faces=7),
    "faces of no cells": lambda d: d.update(faces=FACES | {"height": 0}),
    "faces without a threshold": lambda d: d.update(faces={k: v for k, v in FACES.items() if k != "cell_from"}),
    "faces with a threshold that is no number": lambda d: d.update(faces=FACES | {"present_from": "0.5"}),
    "faces with a threshold that is yes": lambda d: d.update(faces=FACES | {"present_from": True}),
    "faces with a threshold that is NaN": lambda d: d.update(faces=FACES | {"cell_from": float("nan")}),
    "faces with a percentage": lambda d: d.update(faces=FACES | {"small_below": 4}),
    "no operating point": lambda d: d.update(operating_points={}),
    "thresholds the wrong way round": lambda d: d["operating_points"]["balanced"].update(real_below=0.9, ai_from=0.1),
    "an empty name": lambda d: d.update(name=""),
    "a schema that is yes": lambda d: d.update(schema=True),
    "a threshold that is yes": lambda d: d["operating_points"].update(strict={"real_below": 0.5, "ai_from": True}),
    "a threshold beyond any float": lambda d: d["operating_points"]["balanced"].update(ai_from=10**400),
    "a bias beyond any float": lambda d: d.update(evidence={"height": 7, "width": 7, "bias": 10**400}),
    "a size that is yes": lambda d: d["input"].update(height=True),
    "a step that is a list": lambda d: d["input"]["steps"].append(["resize"]),
    "a step without a name": lambda d: d["input"]["steps"][0].pop("op"),
    "a name of a step that is an object": lambda d: d["input"]["steps"][0].update(op={}),
    "steps of 4096 x 4096": lambda d: d["input"]["steps"].insert(
        0, {"op": "resize", "height": 4096, "width": 4096, "filter": "lanczos"}
    ),
    "a thousand steps": lambda d: d["input"].update(steps=d["input"]["steps"] * 1000),
    "a thousand operating points": lambda d: d.update(
        operating_points={str(number): {"real_below": 0.5, "ai_from": 0.5} for number in range(1000)}
    ),
    "a million cells": lambda d: d.update(evidence={"height": 1024, "width": 1024, "bias": 0.0}),
    "a name that forges a line": lambda d: d.update(name="model\nphoto.jpg: real"),
    "a name that colours the terminal": lambda d: d.update(name="\x1b[31mmodel"),
    "a version that turns the text around": lambda d: d.update(version="1\u202e2"),
    "a label with a zero": lambda d: d.update(labels=["real", "ai\0"], ai_labels=["ai\0"]),
    "an operating point that forges a line": lambda d: d["operating_points"].update(
        {"a\rb": {"real_below": 0.5, "ai_from": 0.5}}
    ),
    "a name of a thousand letters": lambda d: d.update(name="a" * 1000),
    "a hash that is none": lambda d: d.update(graph_sha256="ABC"),
    "an input that is a number": lambda d: d.update(input=5),
    "operating points that are a list": lambda d: d.update(operating_points=["balanced"]),
}


@pytest.mark.parametrize("contradiction", BREAKS)
def test_a_contradiction_is_refused_in_one_line(contradiction: str, document: dict[str, Any]) -> None:
    broken = copy.deepcopy(document)
    BREAKS[contradiction](broken)
    with pytest.raises(ManifestError, match=r"^model\.onnx: ") as caught:
        parse_manifest(json.dumps(broken), "model.onnx")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_not_a_manifest(text: str) -> None:
    with pytest.raises(ManifestError):
        parse_manifest(text, "model.onnx")

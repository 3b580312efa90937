"""What is said of faces, through `Classifier`: on a model whose face map is how green each of 4 x 4 cells is."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import Classifier, PhotoWarning, Verdict
from aiface_runtime.cli import main
from aiface_runtime.errors import ManifestError
from tests.support.red_model import CELLS, FACES, SIDE, red_model

CELL, MARGIN = 16, 8  # pixels; the margin is cut off before the model sees the photo
NONE: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same network with a face map and without."""
    folder = tmp_path_factory.mktemp("faces")
    with_faces = red_model(folder / "faces.onnx", faces=FACES, returns_faces=True)
    return with_faces, red_model(folder / "plain.onnx")


@pytest.fixture(scope="module")
def classifier(models: tuple[Path, Path]) -> Classifier:
    return Classifier(models[0], device="cpu", threads=2)


def photo(*rows: str, red: int = 250) -> np.ndarray:
    """Draw a photo, uint8 `[80, 80, 3]`, whose cells have a tenth of full green for each digit."""
    green = np.array([[int(digit) * 25 for digit in row] for row in rows], dtype=np.uint8)
    pixels = np.zeros((SIDE + 2 * MARGIN, SIDE + 2 * MARGIN, 3), dtype=np.uint8)
    pixels[..., 0] = red
    pixels[MARGIN:-MARGIN, MARGIN:-MARGIN, 1] = green.repeat(CELL, axis=0).repeat(CELL, axis=1)
    return pixels


EMPTY = "0000"
SEEN = {
    "nothing": ((EMPTY, EMPTY, EMPTY, EMPTY), 0.0, ("no_face",)),
    "all but a face, everywhere": (("4444", "4444", "4444", "4444"), 0.39, ("no_face",)),
    "a large face": ((EMPTY, "0990", "0990", EMPTY), 0.88, NONE),
    "two cells of sixteen": ((EMPTY, "0990", EMPTY, EMPTY), 0.88, NONE),
    "one cell of sixteen": ((EMPTY, "0090", EMPTY, EMPTY), 0.88, ("small_face",)),
    "a likely cell that is not covered": ((EMPTY, "0660", EMPTY, EMPTY), 0.59, ("small_face",)),
    "a face and a cell apart": (("9900", "9900", "9000", "0009"), 0.88, ()),
    "two faces": (("9900", "9900", EMPTY, "0099"), 0.88, ("several_faces",)),
    "two faces, at the end of a row and the start of the next": (
        ("0009", "9009", "9000", EMPTY), 0.88, ("several_faces",),
    ),
    "two small faces": (("9000", EMPTY, EMPTY, "0009"), 0.88, ("small_face", "several_faces")),
    "three small faces": (("9009", EMPTY, EMPTY, "9000"), 0.88, ("small_face", "several_faces")),
    "cells that touch at their corners": (("9000", "0900", "0090", "0900"), 0.88, NONE),
    "a ring": (("9990", "9090", "9990", EMPTY), 0.88, NONE),
    "a winding line": (("9999", "0009", "9999", "9000"), 0.88, NONE),
    "everything": (("9999", "9999", "9999", "9999"), 0.88, NONE),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_probability_warnings_and_verdict(name: str, classifier: Classifier) -> None:
    rows, probability, warnings = SEEN[name]
    for red, verdict in ((250, Verdict.AI), (0, Verdict.REAL)):
        answer = classifier.predict(photo(*rows, red=red))
        assert answer.face_probability == pytest.approx(probability, abs=0.01)
        assert answer.warnings == warnings
        assert answer.verdict is (Verdict.UNCERTAIN if warnings == ("no_face",) else verdict)
        assert (answer.p_ai > 0.5) == (red > 0), "what is said of AI does not depend on the face"


def test_a_face_that_the_crop_cuts_off_is_not_seen(classifier: Classifier) -> None:
    pixels = photo(EMPTY, EMPTY, EMPTY, EMPTY)
    pixels[:MARGIN, :, 1] = 255
    assert classifier.predict(pixels).warnings == (PhotoWarning.NO_FACE,)


def test_the_thresholds_are_the_files(tmp_path: Path) -> None:
    picture = photo("9000", EMPTY, EMPTY, "0099")  # 250 * 0.9 / 255 = 0.88
    for changed, warnings in (
        ({"present_from": 0.9}, ("no_face",)),
        ({"small_below": 0.13}, ("small_face", "several_faces")),
        ({"cell_from": 0.9, "small_below": 0}, NONE),
    ):
        file = red_model(tmp_path / "faces.onnx", faces=FACES | changed, returns_faces=True)
        assert Classifier(file, device="cpu").predict(picture).warnings == warnings


def test_every_way_to_ask_says_the_same(classifier: Classifier) -> None:
    pictures = [photo(*rows) for rows, _, _ in SEEN.values()]
    expected = [classifier.predict(picture) for picture in pictures]
    assert len({answer.warnings for answer in expected}) == 5
    for batch_size in (1, 5, 50):
        assert list(classifier.predict_many(pictures, batch_size=batch_size)) == expected
    assert [classifier.explain(picture).prediction for picture in pictures] == expected
    assert [pickle.loads(pickle.dumps(classifier)).predict(picture) for picture in pictures] == expected
    assert pickle.loads(pickle.dumps(expected)) == expected
    assert classifier(pictures[0]) == [{"label": label, "score": expected[0].scores[label]} for label in ("ai", "real")]


def test_without_a_face_map_answers_are_the_same_but_for_faces(
    models: tuple[Path, Path], classifier: Classifier
) -> None:
    plain = Classifier(models[1], device="cpu", threads=2)
    for rows, _, warnings in SEEN.values():
        answer, expected = plain.predict(photo(*rows)), classifier.predict(photo(*rows))
        assert answer.to_record()["face_probability"] is None
        assert answer.to_record()["warnings"] == []
        assert answer.verdict is Verdict.AI
        if warnings != ("no_face",):
            assert replace(expected, face_probability=None, warnings=()) == answer


def test_the_command_says_it_in_every_format(
    models: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(photo("9000", EMPTY, EMPTY, "0009")).save(file)
    printed = {}
    for kind in ("text", "jsonl", "csv"):
        assert main(["predict", "--model", str(models[0]), "--format", kind, str(file), "no.png"]) == 1
        printed[kind] = capsys.readouterr().out.splitlines()
    assert printed["text"][0].endswith("small_face, several_faces)")
    answer, failure = map(json.loads, printed["jsonl"])
    assert answer["warnings"] == ["small_face", "several_faces"]
    assert answer["face_probability"] == pytest.approx(0.88, abs=0.01)
    assert (failure["face_probability"], failure["warnings"]) == (None, [])
    assert printed["csv"][0].endswith(",error,message,face_probability,warnings")
    assert printed["csv"][1].endswith(f",{answer['face_probability']},small_face several_faces")
    assert main(["explain", "--model", str(models[0]), str(file), "-o", str(tmp_path / "map.png")]) == 0
    assert "small_face, several_faces)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("promised", "returned"), [(FACES, False), (FACES | {"width": CELLS + 1}, True), (FACES | {"height": 1}, True)]
)
def test_a_promised_face_map_must_be_there(*, promised: dict[str, object], returned: bool, tmp_path: Path) -> None:
    file = red_model(tmp_path / "faces.onnx", faces=promised, returns_faces=returned)
    with pytest.raises(ManifestError, match=r"faces\.onnx: its graph does not return faces, float32 \['N', "):
        Classifier(file, device="cpu")


def test_a_face_map_that_is_not_promised_is_left_alone(tmp_path: Path) -> None:
    file = red_model(tmp_path / "faces.onnx", returns_faces=True)
    answer = Classifier(file, device="cpu").predict(photo(EMPTY, EMPTY, EMPTY, EMPTY))
    assert (answer.face_probability, answer.warnings, answer.verdict) == (None, (), Verdict.AI)

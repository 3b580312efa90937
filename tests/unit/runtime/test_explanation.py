"""Where an answer comes from, in the photo's own pixels: on a model whose evidence is how red a cell is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import Classifier
from aiface_runtime.errors import ManifestError, NoEvidenceError, UsageError
from tests.support.red_model import CELLS, encoded, red_model, spotted

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return red_model(tmp_path_factory.mktemp("red") / "red.onnx")


@pytest.fixture(scope="module")
def classifier(model: Path) -> Classifier:
    return Classifier(model, device="cpu")


def test_an_explanation_is_the_prediction_and_adds_up_to_it_by_every_way_in(
    classifier: Classifier, portrait: Path
) -> None:
    with portrait.open("rb") as stream, Image.open(portrait) as image:
        whole = image.convert("RGB")
        sources = [portrait, portrait.read_bytes(), stream, whole, np.asarray(whole)]  # the first three are scaled down
        explanations = [classifier.explain(source) for source in sources]
        for source, explanation in zip(sources, explanations, strict=True):
            if source is not stream:
                assert explanation.prediction == classifier.predict(source)
    first = explanations[0]
    assert (first.evidence.dtype, first.evidence.shape) == (np.float32, (CELLS, CELLS))
    p_ai = first.prediction.p_ai
    assert first.evidence.mean() + first.bias == pytest.approx(np.log(p_ai) - np.log(1 - p_ai), abs=1e-4)
    for explanation in explanations[1:]:
        np.testing.assert_allclose(explanation.evidence, first.evidence, atol=0.01)
        np.testing.assert_array_equal(explanation.photo, first.photo)
    assert json.loads(json.dumps(first.to_record()))["evidence"] == pytest.approx(first.evidence, abs=1e-4)
    assert len(repr(first)) < 1000


@pytest.mark.parametrize("size", [(1803, 2113), (400, 300), (90, 250)])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_the_strongest_cell_lies_where_the_photo_is_red(
    classifier: Classifier, size: tuple[int, int], orientation: int
) -> None:
    """Through turning, cropping and, of the largest, decoding at a reduced scale."""
    upright = spotted(*size, (0.4 * size[0], 0.6 * size[1]), 0.07 * min(size))
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(turned[orientation]) if orientation != 1 else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    explanation = classifier.explain(encoded(stored, exif=exif, quality=95))
    assert explanation.photo.shape == (size[1], size[0], 3)
    left, top, right, bottom = explanation.region
    assert right - left == pytest.approx(0.8 * min(size), rel=0.02), "64 of 80 pixels are cut out"
    assert (left + right) / 2 == pytest.approx(size[0] / 2, abs=0.02 * max(size))
    row, column = np.unravel_index(explanation.evidence.argmax(), explanation.evidence.shape)
    width, height = (right - left) / CELLS, (bottom - top) / CELLS
    spot = (0.4 * size[0], 0.6 * size[1])
    assert left + column * width - 1 <= spot[0] <= left + (column + 1) * width + 1
    assert top + row * height - 1 <= spot[1] <= top + (row + 1) * height + 1


def test_the_overlay_colours_the_visible_region_only(classifier: Classifier) -> None:
    photo = spotted(600, 400, (200, 150), 40)
    explanation = classifier.explain(photo)
    picture = explanation.overlay()
    assert (picture.size, picture.mode) == ((600, 400), "RGB")
    before, after = np.asarray(photo), np.asarray(picture)
    left, top, right, bottom = (round(edge) for edge in explanation.region)
    outside = np.ones((400, 600), dtype=bool)
    outside[top:bottom, left:right] = False
    np.testing.assert_array_equal(after[outside], before[outside])
    assert not (after[~outside] == before[~outside]).all(axis=1).any()
    at_spot, elsewhere = after[150, 200].astype(int), after[330, 400].astype(int)
    assert at_spot[0] > at_spot[1] > at_spot[2], "orange"
    assert elsewhere[2] > elsewhere[1] > elsewhere[0], "blue"
    grey = np.asarray(explanation.overlay(alpha=0))[~outside]
    assert (np.ptp(grey, axis=1) == 0).all()
    assert (np.ptp(np.asarray(explanation.overlay(alpha=1))[~outside], axis=1) > 0).any()
    with pytest.raises(UsageError, match="0 to 1"):
        explanation.overlay(alpha=1.5)


def test_little_evidence_gets_little_colour(classifier: Classifier) -> None:
    colourful = classifier.explain(Image.new("RGB", (80, 80), (120, 100, 100))).overlay()
    assert np.ptp(np.asarray(colourful.crop((20, 20, 60, 60))), axis=2).max() < 40
    assert np.ptp(np.asarray(colourful.crop((20, 20, 60, 60))), axis=2).min() > 0


def test_a_huge_photo_gives_a_picture_of_sensible_size(classifier: Classifier) -> None:
    explanation = classifier.explain(encoded(spotted(4000, 3000, (1600, 1500), 600)))
    assert explanation.photo.shape == (3000, 4000, 3)
    assert explanation.overlay().size == (2048, 1536)
    spot = np.asarray(explanation.overlay())[768, 819].astype(int)
    assert spot[0] > spot[1] > spot[2]


def test_a_model_without_a_map_says_so_before_it_looks(tmp_path: Path) -> None:
    for returned in (False, True):
        with Classifier(red_model(tmp_path / "red.onnx", promised=False, returned=returned)) as classifier:
            with pytest.raises(NoEvidenceError, match="aiface-export") as caught:
                classifier.explain("no-such-photo.jpg")
            assert isinstance(caught.value, NotImplementedError)
            assert classifier.predict(Image.new("RGB", (99, 99))).p_ai < 0.5


def test_a_promise_that_the_graph_does_not_keep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="evidence"):
        Classifier(red_model(tmp_path / "red.onnx", returned=False))


def test_the_face_map_comes_along_where_the_model_has_one(classifier: Classifier, portrait: Path) -> None:
    explanation = Classifier(device="cpu").explain(portrait)
    assert explanation.faces is not None
    assert explanation.faces.max() == explanation.prediction.face_probability
    assert classifier.explain(portrait).faces is None

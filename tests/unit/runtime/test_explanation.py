"""Where an answer comes from, in the photo's own pixels: on a model whose evidence is how red a place is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw

from aiface_runtime import Classifier
from aiface_runtime.errors import ManifestError, NoEvidenceError, UsageError
from aiface_runtime.manifest import CenterCrop, CenterCropToEven, Resize, ResizeShorter
from aiface_runtime.preprocess import preprocess, visible_box

SIDE, PLACES, BIAS = 64, 4, -1.5
ORIENTATION = 0x0112


def red_model(file: Path, *, promised: bool = True, given: bool = True) -> Path:
    """The log-odds are the mean redness, red less blue in hundreds of levels, and a bias."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["nchw"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("AveragePool", ["levels"], ["places"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("GlobalAveragePool", ["places"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["vector"]),
        helper.make_node("Gemm", ["vector", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
        helper.make_node("Conv", ["places", "kernel"], ["contributions"]),
        helper.make_node("Reshape", ["contributions", "grid"], ["evidence"]),
    ]
    red = np.array([0.01, 0.0, -0.01], dtype=np.float32)
    constants: dict[str, Any] = {
        "weights": np.stack([-red / 2, red / 2], axis=1),
        "bias": np.array([-BIAS / 2, BIAS / 2], dtype=np.float32),
        "kernel": red.reshape(1, 3, 1, 1),
        "grid": np.array([-1, PLACES, PLACES]),
    }
    outputs = {"probabilities": [2], "evidence": [PLACES, PLACES]}
    graph = helper.make_graph(
        nodes if given else nodes[:-2],
        "red",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
            for name, shape in list(outputs.items())[: 2 if given else 1]
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    manifest = {
        "schema": 1,
        "name": "red",
        "version": "1",
        "labels": ["real", "ai"],
        "ai_labels": ["ai"],
        "input": {
            "height": SIDE,
            "width": SIDE,
            "scaled_decoding": 2.0,
            "steps": [
                {"op": "resize_shorter", "size": 80, "filter": "bicubic"},
                {"op": "center_crop", "height": SIDE, "width": SIDE},
            ],
        },
        "operating_points": {"balanced": {"real_below": 0.5, "ai_from": 0.5}},
        "evidence": {"height": PLACES, "width": PLACES, "bias": BIAS} if promised else None,
    }
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"aiface": json.dumps(manifest)})
    onnx.save(model, file)
    return file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return red_model(tmp_path_factory.mktemp("red") / "red.onnx")


@pytest.fixture(scope="module")
def classifier(model: Path) -> Classifier:
    return Classifier(model, device="cpu")


def spotted(width: int, height: int, spot: tuple[float, float], radius: float) -> Image.Image:
    """A red disc on blue."""
    picture = Image.new("RGB", (width, height), (60, 60, 160))
    x, y = spot
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=(250, 20, 20))
    return picture


def encoded(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


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
    assert (first.evidence.dtype, first.evidence.shape) == (np.float32, (PLACES, PLACES))
    p_ai = first.prediction.p_ai
    assert first.evidence.mean() + first.bias == pytest.approx(np.log(p_ai) - np.log(1 - p_ai), abs=1e-4)
    for explanation in explanations[1:]:
        np.testing.assert_allclose(explanation.evidence, first.evidence, atol=0.01)
        np.testing.assert_array_equal(explanation.photo, first.photo)
    assert json.loads(json.dumps(first.to_record()))["evidence"] == pytest.approx(first.evidence, abs=1e-4)
    assert len(repr(first)) < 1000


@pytest.mark.parametrize("size", [(1803, 2113), (400, 300), (90, 250)])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_the_hottest_place_lies_where_the_photo_is_red(
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
    width, height = (right - left) / PLACES, (bottom - top) / PLACES
    spot = (0.4 * size[0], 0.6 * size[1])
    assert left + column * width - 1 <= spot[0] <= left + (column + 1) * width + 1
    assert top + row * height - 1 <= spot[1] <= top + (row + 1) * height + 1


@pytest.mark.parametrize(
    "steps",
    [
        (Resize(64, 64, "bicubic"),),
        (ResizeShorter(80, "bicubic"), CenterCrop(64, 48)),
        (ResizeShorter(81, "bicubic"), CenterCropToEven(64, 64)),
        (Resize(100, 90, "bilinear"), CenterCrop(64, 64), Resize(32, 32, "bilinear")),
    ],
)
@pytest.mark.parametrize("size", [(640, 480), (333, 500), (50, 50)])
def test_the_covered_region_is_what_the_model_is_shown(size: tuple[int, int], steps: Any) -> None:
    """Ramps say where each pixel came from."""
    across, down = np.meshgrid(np.linspace(0, 250, size[0]), np.linspace(0, 250, size[1]))
    photo = np.stack([across, down, np.zeros_like(across)], axis=2).astype(np.uint8)
    seen = preprocess(photo, steps).astype(float)
    region = np.array(visible_box(size, steps)) / [*size, *size] * 250
    assert seen[:, 0, 0].mean() == pytest.approx(region[0], abs=6)
    assert seen[0, :, 1].mean() == pytest.approx(region[1], abs=6)
    assert seen[:, -1, 0].mean() == pytest.approx(region[2], abs=6)
    assert seen[-1, :, 1].mean() == pytest.approx(region[3], abs=6)


def test_the_overlay_colours_the_covered_region_only(classifier: Classifier) -> None:
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
    for given in (False, True):
        with Classifier(red_model(tmp_path / "red.onnx", promised=False, given=given)) as classifier:
            with pytest.raises(NoEvidenceError, match="aiface-export") as caught:
                classifier.explain("no-such-photo.jpg")
            assert isinstance(caught.value, NotImplementedError)
            assert classifier.predict(Image.new("RGB", (99, 99))).p_ai < 0.5


def test_a_promise_that_the_graph_does_not_keep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="evidence"):
        Classifier(red_model(tmp_path / "red.onnx", given=False))


def explain(*words: str | Path, cwd: Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-P", "-m", "aiface_runtime", "explain", *map(str, words)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, cwd=cwd)


def test_the_command_writes_a_picture_and_says_where(model: Path, tmp_path: Path, classifier: Classifier) -> None:
    data = encoded(spotted(200, 160, (90, 60), 20))
    (tmp_path / "photo.jpg").write_bytes(data)
    done = explain("photo.jpg", "-o", "map.png", "--model", model, "--device", "cpu", cwd=tmp_path)
    answer = classifier.predict(data)
    assert (done.returncode, done.stderr) == (0, b"")
    said = f"photo.jpg: {answer.verdict} (p_ai {answer.p_ai:.3f}), evidence map: map.png\n"
    assert done.stdout.decode() == said
    with Image.open(tmp_path / "map.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (200, 160))
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(classifier.explain(data).overlay()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.png", "photo.jpg"]
    done = explain("-", "-o", "map.png", "--model", model, "--format", "json", cwd=tmp_path, stdin=data)
    record = json.loads(done.stdout)
    assert (record["input"], record["map"], record["p_ai"]) == ("-", "map.png", answer.p_ai)
    assert np.array(record["evidence"]).shape == (PLACES, PLACES)


def test_what_goes_wrong_is_one_line_and_leaves_nothing(model: Path, tmp_path: Path) -> None:
    spotted(80, 80, (30, 30), 9).save(tmp_path / "photo.png")
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "folder.png").mkdir()
    without = red_model(tmp_path / "without.onnx", promised=False)
    before = sorted(tmp_path.iterdir())
    for words, code, says in (
        (["photo.png", "-o", "map.png", "--model", without], 3, "no evidence map"),
        (["text.jpg", "-o", "map.png", "--model", model], 1, "text.jpg: "),
        (["missing.jpg", "-o", "map.png", "--model", model], 1, "no such file"),
        (["photo.png", "-o", "map.jpg", "--model", model], 2, ".png"),
        (["photo.png", "-o", "no/map.png", "--model", model], 2, "no folder no"),
        (["photo.png", "-o", "folder.png", "--model", model], 2, "is a folder"),
        (["photo.png", "-o", "photo.png", "--model", model], 2, "the photo itself"),
        (["photo.png", "-o", "map.png", "--model", "nope"], 3, "nope"),
        (["photo.png", "-o", "map.png", "--model", model, "--operating-point", "harsh"], 2, "balanced"),
    ):
        done = explain(*words, cwd=tmp_path)  # type: ignore[arg-type]
        assert (done.returncode, done.stdout) == (code, b""), words
        assert len(done.stderr.splitlines()) == 1
        assert says in done.stderr.decode()
    assert sorted(tmp_path.iterdir()) == before

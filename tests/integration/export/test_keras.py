"""The reference ResNet in Keras' three forms becomes files that give the answers of its card's own code."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aiface_export.cli import main
from aiface_runtime import Classifier
from tests.support import SHARED

os.environ.setdefault("KERAS_BACKEND", "tensorflow" if util.find_spec("tensorflow") else "torch")
cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is not installed: it is what the card uses")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the frameworks, while they are imported
    keras = pytest.importorskip("keras", reason="keras is not installed")

# The frameworks warn of their own futures; our code is held to "no warnings" everywhere else.
pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

SIZE = int(os.environ.get("AIFACE_TEST_RESNET_SIZE", "64"))  # 224 and width 64: the reference ResNet itself
WIDTH = int(os.environ.get("AIFACE_TEST_RESNET_WIDTH", "8"))
TENSORFLOW = keras.backend.backend() == "tensorflow"
LABELS = ["--labels", "ai,real"]


def card_pixels(photo: Path, channels: str) -> np.ndarray:
    """Read pixels by the card's own code; the Space turns the photo to RGB first."""
    image = cv2.imread(str(photo))
    if channels == "rgb":
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return cv2.resize(image, (SIZE, SIZE)) / 255.0


@pytest.fixture(scope="module")
def photos(portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """100 photos of varied size: the portrait at odd framings, and the shared faces where they are."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    with Image.open(portrait) as image:
        for number in range(24):
            width, height = (int(side) for side in rng.integers(30, 512, 2))
            left, top = int(rng.integers(0, 513 - width)), int(rng.integers(0, 601 - height))
            image.crop((left, top, left + width, top + height)).save(folder / f"{number:02}.png")
    shared = sorted((SHARED / "data").glob("*/*/*.jpg"))
    return sorted(folder.iterdir()) + shared[:: max(1, len(shared) // 76)][:76]


@pytest.fixture(scope="module")
def network(photos: list[Path]) -> Any:
    """The reference ResNet with random weights whose answers differ clearly between photos."""
    from aiface_training.keras_resnet.network import random_reference_resnet

    return random_reference_resnet([Image.open(photo).convert("RGB") for photo in photos[::6]], WIDTH, SIZE)


def save(model: Any, path: Path) -> Path:
    if path.suffix:
        model.save(path)
    elif TENSORFLOW:
        model.export(path, verbose=False)
    else:
        pytest.skip("TensorFlow is not installed: nothing else writes or reads a SavedModel")
    return path


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("form", "channels"), [("resnet.h5", "bgr"), ("resnet.keras", "bgr"), ("resnet.keras", "rgb"), ("resnet", "bgr")]
)
def test_the_file_gives_the_cards_answers(
    *,
    form: str,
    channels: str,
    network: Any,
    photos: list[Path],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    path, file = save(network, tmp_path / form), tmp_path / "model.onnx"
    options = [] if channels == "bgr" else ["--channels", channels]
    assert main([str(path), "-o", str(file), *LABELS, *options]) == 0
    pixels = np.stack([card_pixels(photo, channels) for photo in photos])
    expected = network.predict(pixels, verbose=0)[:, 0]
    assert np.ptp(expected) > 0.1, "a reference that says the same of every photo proves nothing"
    levels = np.rint(255 * (pixels[..., ::-1] if channels == "bgr" else pixels)).astype(np.uint8)
    with Classifier(file, device="cpu") as classifier:
        from_pixels = [answer.scores["real"] for answer in classifier.predict_many(list(levels), on_error="raise")]
        from_photos = [answer.scores["real"] for answer in classifier.predict_many(photos, on_error="raise")]
        document = classifier.manifest.document
    record_property("on the same pixels", float(np.abs(from_pixels - expected).max()))
    record_property("from file to answer", float(np.abs(from_photos - expected).max()))
    record_property("export", document["export"])
    np.testing.assert_allclose(from_pixels, expected, atol=1e-4)
    np.testing.assert_allclose(from_photos, expected, atol=5e-3)
    assert document["labels"] == ["ai", "real"]
    assert document["ai_labels"] == ["ai"]
    assert document["input"]["network_channels"] == channels
    assert [step["filter"] for step in document["input"]["steps"]] == ["bilinear_no_antialias"]
    assert document["source"]["framework"] == ("keras" if path.suffix else "tensorflow")


def test_several_outputs_end_in_softmax(tmp_path: Path, portrait: Path) -> None:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((32, 48, 3)), *layers])
    model.save(tmp_path / "three.keras")
    options = ["--labels", "gan,photo,odd", "--ai-label", "gan", "--ai-label", "odd", "--resize", "bicubic"]
    options += ["--range", "0-1"]
    assert main([str(tmp_path / "three.keras"), "-o", str(tmp_path / "three.onnx"), *options]) == 0
    with Image.open(portrait) as image:
        pixels = np.asarray(image.convert("RGB").resize((48, 32), Image.Resampling.BICUBIC))[..., ::-1]
    expected = model.predict(pixels[None] / 255, verbose=0)[0]
    answer = Classifier(tmp_path / "three.onnx", device="cpu").predict(portrait)
    np.testing.assert_allclose(list(answer.scores.values()), expected, atol=1e-4)
    assert answer.p_ai == pytest.approx(expected[0] + expected[2], abs=1e-4)


def test_a_network_that_rescales_pixels_itself_is_fed_bytes(tmp_path: Path, portrait: Path) -> None:
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 127.5, offset=-1)])
    layers = [inner, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    model.save(tmp_path / "own.keras")
    options = [*LABELS, "--resize", "bicubic", "--channels", "rgb"]
    assert main([str(tmp_path / "own.keras"), "-o", str(tmp_path / "own.onnx"), *options]) == 0
    with Image.open(portrait) as image:
        pixels = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BICUBIC), dtype=np.float32)
    answer = Classifier(tmp_path / "own.onnx", device="cpu").predict(portrait)
    assert answer.scores["real"] == pytest.approx(model.predict(pixels[None], verbose=0)[0, 0], abs=1e-4)


def tiny(
    path: Path, *, sides: int | None = 32, num_outputs: int = 1, activation: str = "sigmoid", heads: int = 1
) -> Path:
    image = keras.Input((sides, sides, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    answers = [keras.layers.Dense(num_outputs, activation=activation)(pooled) for _ in range(heads)]
    return save(keras.Model(image, answers if heads > 1 else answers[0]), path)


def cut_short(folder: Path) -> Path:
    file = tiny(folder / "cut.h5")
    file.write_bytes(file.read_bytes()[:3000])
    return file


def not_a_zip(folder: Path) -> Path:
    file = folder / "text.keras"
    file.write_text("weights")
    return file


def broken_saved_model(folder: Path) -> Path:
    path = folder / "saved"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"nothing")
    return path


def unserved(folder: Path) -> Path:
    tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is not installed: nothing writes a SavedModel")
    tensorflow.saved_model.save(tensorflow.Module(), str(folder / "saved"))
    return folder / "saved"


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("make", "labels", "says"),
    [
        (cut_short, "ai,real", "cut.h5: cannot be loaded"),
        (not_a_zip, "ai,real", "zip"),
        (lambda folder: folder / "none.h5", "ai,real", "no such file"),
        (broken_saved_model, "ai,real", "cannot be loaded" if util.find_spec("tensorflow") else "only TensorFlow"),
        (unserved, "ai,real", "no serving signature"),
        (lambda folder: tiny(folder / "two.keras", heads=2), "ai,real", "has 2 outputs"),
        (lambda folder: tiny(folder / "any.keras", sides=None), "ai,real", "any x any x 3"),
        (lambda folder: tiny(folder / "logits.keras", activation="linear"), "ai,real", "end in linear"),
        (lambda folder: tiny(folder / "two.keras", num_outputs=2), "ai,real", "softmax"),
        (lambda folder: tiny(folder / "one.keras"), "ai,real,human", "--labels"),
        (lambda folder: tiny(folder / "one.keras"), "yes,no", "--ai-label"),
        (lambda folder: tiny(folder / "one.keras"), "", "--labels ai,real"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    make: Callable[[Path], Path], labels: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = make(tmp_path), tmp_path / "out"
    capsys.readouterr()
    assert main([str(path), "-o", str(out / "model.onnx"), *(["--labels", labels] if labels else [])]) == 1
    complaints = [line for line in capsys.readouterr().err.splitlines() if line.startswith("aiface-export: ")]
    assert len(complaints) == 1
    assert says in complaints[0]
    assert not out.exists()


def test_a_source_that_says_it_itself_takes_no_hints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "-o", str(tmp_path / "model.onnx"), "--channels", "bgr"]) == 1
    assert "leave out --labels" in capsys.readouterr().err


def test_a_keras_export_loads_no_other_framework() -> None:
    """Nobody needs torch to export from Keras, nor TensorFlow to export from transformers."""
    code = """
import sys
class Refuse:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("torch", "transformers", "optimum", "tensorflow", "keras"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import aiface_export.cli, aiface_export.sources.keras_file, aiface_export.pipeline
"""
    subprocess.run([sys.executable, "-c", code], check=True)

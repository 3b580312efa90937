"""What a Keras network is fed is read from what stands before its weights, or asked for; Keras' own answers decide."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aiface_export.cli import main
from aiface_export.errors import SourceError
from aiface_export.source import Hints
from aiface_export.sources import open_source
from aiface_runtime import Classifier

os.environ.setdefault("KERAS_BACKEND", "tensorflow" if util.find_spec("tensorflow") else "torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the frameworks, while they are imported
    keras = pytest.importorskip("keras", reason="keras is not installed")

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

L, APPLICATIONS = keras.layers, keras.applications
KERAS_2 = Path(__file__).parent / "keras2"
SIDE = 32
LABELS = Hints(labels=("real", "ai"))
IMAGENET = {"mean": [0.485, 0.456, 0.406], "variance": [0.229**2, 0.224**2, 0.225**2]}
BYTES = {"mean": [125.0, 110.0, 100.0], "variance": [3600.0, 3500.0, 3400.0]}


def network(*before: Callable[[Any], Any], dtype: str = "float32") -> Any:
    """A small network whose answers differ between photos, with these operations before its first weights."""
    keras.utils.set_random_seed(0)
    image = x = keras.Input((SIDE, SIDE, 3), dtype=dtype)
    for operation in before:
        x = operation(x)
    x = L.Conv2D(8, 5, strides=3, padding="same")(x)
    x = L.GlobalAveragePooling2D()(L.ReLU()(x))
    return keras.Model(image, L.Dense(1, activation="sigmoid")(x))


def residual(x: Any) -> Any:
    return L.Add()([x, L.Rescaling(0.05)(L.Conv2D(3, 3, padding="same")(x))])


def application(name: str, **settings: Any) -> Callable[[Any], Any]:
    """A backbone of Keras with whatever pre-processing it brings."""
    return lambda x: getattr(APPLICATIONS, name)(include_top=False, weights=None, input_shape=x.shape[1:], **settings)(
        x
    )


def convnext(x: Any) -> Any:
    from keras.src.applications.convnext import ConvNeXt  # the public ones have 28 million weights and more

    sizes = {"depths": [1] * 4, "projection_dims": [8] * 4}
    return ConvNeXt(include_top=False, weights=None, input_shape=x.shape[1:], name="convnext", **sizes)(x)


def nested(*layers: Any) -> Any:
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers])


def saved(model: Any, file: Path) -> Path:
    model.save(file)
    return file


# What stands before the first weights, and what of the input it tells; None where --range is asked for.
KINDS: dict[str, tuple[Sequence[Callable[[Any], Any]], str | None, str]] = {
    "nothing": ((), None, ""),
    "mobilenet_v2.preprocess_input": ((APPLICATIONS.mobilenet_v2.preprocess_input,), "0-255", "bgr"),
    "vgg16.preprocess_input": ((APPLICATIONS.vgg16.preprocess_input,), "0-255", "rgb"),
    "densenet.preprocess_input": ((APPLICATIONS.densenet.preprocess_input,), "0-255", "rgb"),
    "Rescaling": ((L.Rescaling(1 / 255),), "0-255", "bgr"),
    "Rescaling to -1..1 of 0..1": ((L.Rescaling(2, offset=-1),), "0-1", "bgr"),
    "operations to 0..1 of -1..1": ((lambda x: (x + 1) / 2,), "-1-1", "bgr"),
    "Normalization of bytes": ((L.Normalization(**BYTES),), "0-255", "bgr"),
    "Normalization of 0..1": ((L.Normalization(**IMAGENET),), "0-1", "rgb"),
    "Normalization of 0..1, BGR": ((L.Normalization(**{k: v[::-1] for k, v in IMAGENET.items()}),), "0-1", "bgr"),
    "Normalization that was never adapted": ((L.Normalization(mean=[0.0] * 3, variance=[1.0] * 3),), None, ""),
    "Rescaling and Normalization": ((L.Rescaling(1 / 255), L.Normalization(**IMAGENET)), "0-255", "rgb"),
    "a nested model with augmentation": (
        (nested(L.RandomContrast(0.9), L.RandomFlip(), L.Resizing(24, 24), L.Rescaling(1 / 127.5, offset=-1)),),
        "0-255",
        "bgr",
    ),
    "Rescaling twice": ((L.Rescaling(1 / 255), L.Rescaling(1 / 255)), None, ""),
    "Rescaling to bytes": ((L.Rescaling(255.0),), None, ""),
    "Rescaling in a residual branch": ((residual,), None, ""),
    "Rescaling after weights": ((L.Conv2D(3, 1), L.Rescaling(1 / 255)), None, ""),
    "BatchNormalization": ((L.BatchNormalization(),), None, ""),
    "UnitNormalization": ((L.UnitNormalization(),), None, ""),
    "MobileNetV3Small": ((application("MobileNetV3Small"),), "0-255", "bgr"),
    "EfficientNetB0": ((application("EfficientNetB0"),), "0-255", "bgr"),
    "ConvNeXt": ((convnext,), "0-255", "rgb"),
    "MobileNet, fed from outside": ((application("MobileNet", alpha=0.25),), None, ""),
    "a backbone that is fed 0..1": ((L.Rescaling(255.0), application("MobileNetV3Small")), "0-1", "bgr"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_before_the_first_weights_tells_the_range(kind: str, tmp_path: Path) -> None:
    before, pixel_range, channels = KINDS[kind]
    file = saved(network(*before), tmp_path / "model.keras")
    if pixel_range is None:
        with pytest.raises(SourceError, match=r"model\.keras: .* say --range 0-1, 0-255, -1-1, caffe or torch"):
            open_source(str(file), (), LABELS)
        return
    assumptions = open_source(str(file), (), LABELS).assumptions
    assert assumptions["range"].startswith(f"{pixel_range} (by what stands before")
    assert assumptions["channels"].startswith(f"{channels} (")
    assert assumptions["resize"].startswith("bilinear_no_antialias (assumed")


def photo_pixels(photo: Path) -> np.ndarray:
    """Read a photo as users of Keras do: RGB, by Pillow."""
    with Image.open(photo) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32)


def exported(source: Path, folder: Path, *options: str) -> Path:
    file = folder / "model.onnx"
    assert main([str(source), "-o", str(file), "--labels", "real,ai", "--resize", "bilinear", *options]) == 0
    return file


FED: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # by Keras' own functions
    "0-1": lambda rgb: rgb / 255,
    "0-255": lambda rgb: rgb,
    "-1-1": APPLICATIONS.xception.preprocess_input,
    "caffe": APPLICATIONS.resnet.preprocess_input,
    "torch": APPLICATIONS.densenet.preprocess_input,
}


@pytest.mark.parametrize("pixel_range", FED)
def test_every_range_is_fed_as_keras_has_it(
    pixel_range: str, tmp_path: Path, portrait: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = network()
    source = saved(model, tmp_path / "model.keras")
    file = exported(source, tmp_path, "--channels", "rgb", "--range", pixel_range)
    expected = model.predict(FED[pixel_range](photo_pixels(portrait))[None], verbose=0)[0, 0]
    with Classifier(file, device="cpu") as classifier:
        assert classifier.predict(portrait).scores["ai"] == pytest.approx(expected, abs=1e-4)
        document = classifier.manifest.document
    assert document["assumptions"]["range"] == f"{pixel_range} (as was said)"
    assert document["input"]["network_channels"] == ("bgr" if pixel_range == "caffe" else "rgb")
    assert f"range: {pixel_range} (as was said)" in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("before", "policy"),
    [
        ((nested(L.RandomContrast(0.9), L.RandomFlip()), APPLICATIONS.vgg16.preprocess_input), "float32"),
        ((L.Rescaling(1 / 255),), "mixed_float16"),
    ],
    ids=["operations and augmentation", "mixed_float16"],
)
def test_what_the_file_tells_is_fed(before: Any, policy: str, tmp_path: Path, portrait: Path) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = network(*before)
    finally:
        keras.config.set_dtype_policy("float32")
    file = exported(saved(model, tmp_path / "model.keras"), tmp_path, "--channels", "rgb")
    expected = model.predict(photo_pixels(portrait)[None], verbose=0)[0, 0]
    with Classifier(file, device="cpu") as classifier:
        tolerance = 1e-4 if policy == "float32" else 2e-3  # half precision itself
        assert classifier.predict(portrait).scores["ai"] == pytest.approx(float(expected), abs=tolerance)


@pytest.mark.parametrize(("name", "tolerance"), [("nested.h5", 1e-6), ("mixed.h5", 1e-3)])
def test_keras_3_answers_as_keras_2_did(name: str, tolerance: float) -> None:
    import h5py

    with h5py.File(KERAS_2 / name) as archive:
        pixels, expected = archive["pixels"][:], archive["answers"][:]
    source = open_source(str(KERAS_2 / name), (), LABELS)
    assert source.assumptions["range"].startswith("0-255 (by what stands before")
    np.testing.assert_allclose(source.network.answers(pixels), expected, rtol=0, atol=tolerance)
    assert np.ptp(expected) > 1e-4


def test_bytes_and_what_the_user_says_otherwise(tmp_path: Path) -> None:
    source = str(saved(network(L.Rescaling(1 / 255), dtype="uint8"), tmp_path / "bytes.keras"))
    assert open_source(source, (), LABELS).assumptions["range"].startswith("0-255 (")
    hints = Hints(labels=("real", "ai"), range="0-1")
    assert (
        open_source(source, (), hints).assumptions["range"]
        == "0-1 (as was said, though its own operations are for 0-255)"
    )


def with_lambda(folder: Path) -> Path:
    return saved(network(L.Lambda(lambda x: x / 255)), folder / "lambda.keras")


def with_lambda_in_h5(folder: Path) -> Path:
    return saved(network(L.Lambda(lambda x: x / 255)), folder / "lambda.h5")


def operations_in_h5(folder: Path) -> Path:
    return saved(network(lambda x: x / 255), folder / "model.h5")


def weights_alone(folder: Path) -> Path:
    network().save_weights(folder / "model.weights.h5")
    return folder / "model.weights.h5"


def pointer(folder: Path) -> Path:
    (folder / "model.h5").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    return folder / "model.h5"


def custom_layer(folder: Path) -> Path:
    class Attention(L.Layer):  # type: ignore[misc, name-defined] # keras has no types
        def call(self, x: Any) -> Any:
            return x

    return saved(network(Attention()), folder / "custom.keras")


def map_of_answers(folder: Path) -> Path:
    image = keras.Input((SIDE, SIDE, 3))
    answers = L.Conv2D(2, 1, activation="softmax")(L.Rescaling(1 / 255)(image))
    return saved(keras.Model(image, answers), folder / "map.keras")


def percent(folder: Path) -> Path:
    model = network(L.Rescaling(1 / 255))
    return saved(keras.Model(model.inputs, model.outputs[0] * 100), folder / "percent.keras")


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (with_lambda, "has a Lambda layer, whose Python code is never run here"),
        (with_lambda_in_h5, "has a Lambda layer, whose Python code is never run here"),
        (operations_in_h5, "its layer TrueDivide is none of Keras 3; save the network as .keras"),
        (weights_alone, "holds weights without their network"),
        (pointer, "is a Git LFS pointer, not the file itself; run git lfs pull"),
        (custom_layer, "its layer Attention is none of Keras 3"),
        (map_of_answers, "its output is 32 x 32 x 2, not a row of answers"),
        (percent, "end in multiply"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(
    make: Callable[[Path], Path], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = make(tmp_path), tmp_path / "out" / "model.onnx"
    capsys.readouterr()
    assert main([str(source), "-o", str(out), "--labels", "real,ai", "--range", "0-1"]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("aiface-export: ")]
    assert says in line
    assert len(line) < 400
    assert not out.parent.exists()


def test_caffe_makes_bgr_itself(tmp_path: Path) -> None:
    source = str(saved(network(), tmp_path / "model.keras"))
    told = open_source(source, (), Hints(labels=("real", "ai"), range="caffe"))
    assert (told.preprocessing.channels, told.assumptions["channels"]) == (
        "bgr",
        "rgb (turned into bgr by the range caffe)",
    )
    with pytest.raises(SourceError, match="leave out --channels bgr"):
        open_source(source, (), Hints(labels=("real", "ai"), range="caffe", channels="bgr"))

"""An ONNX file that someone already has becomes self-describing, or is refused in one line."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from PIL import Image
from scipy.special import expit, softmax
from transformers import AutoImageProcessor, AutoModelForImageClassification

from aiface_export.cli import main
from aiface_export.testing.random_checkpoints import save_family
from aiface_runtime import Classifier
from tests.support.onnx_files import SIDE, describe, ending, network, raw_answers

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
Answers = NDArray[Any]
SOFTMAX = ("Softmax", ["logits"], ["shares"], {"axis": -1})
SIGMOID = ("Sigmoid", ["logits"], ["shares"], {})


@pytest.fixture(scope="module")
def photos(portrait: Path) -> list[Image.Image]:
    """The portrait at several framings and odd shapes."""
    with Image.open(portrait) as image:
        whole = image.convert("RGB")
    boxes = ((0, 0, 512, 600), (30, 20, 481, 333), (100, 200, 201, 599), (200, 50, 301, 113), (0, 400, 512, 600))
    return [whole.crop(box) for box in boxes]


def export(folder: Path, model: Path, output: Path, *options: str) -> int:
    described = ["--processor", str(folder / "preprocessor_config.json"), "--config", str(folder / "config.json")]
    return main([str(model), *described, "-o", str(output), *options])


def refusal(folder: Path, model: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Return the one line that says what is wrong, once nothing was written."""
    capsys.readouterr()
    output = folder / "made" / "out.onnx"
    assert export(folder, model, output, *options) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("aiface-export: ")]
    assert not output.parent.exists()
    return line


def answers_of(file: Path, photos: list[Image.Image]) -> Answers:
    with Classifier(file, device="cpu") as classifier:
        predictions = list(classifier.predict_many(photos, batch_size=3, on_error="raise"))
    return np.array([list(prediction.scores.values()) for prediction in predictions])


def as_they_are(values: Answers) -> Answers:
    return values


def shares(values: Answers) -> Answers:
    return softmax(values, axis=1)


def single(values: Answers) -> Answers:
    return np.stack([1 - values[:, 0], values[:, 0]], axis=1)


def single_logit(values: Answers) -> Answers:
    return single(expit(values))


def own(values: Answers) -> Answers:
    return single(values[:, 1:])


def own_logit(values: Answers) -> Answers:
    return own(expit(values))


def two_outputs(first: str = "opposite", second: str = "logits") -> onnx.ModelProto:
    shape = ["batch", 2]
    return ending(network(), [("Neg", ["logits"], ["opposite"], {})], {first: shape, second: shape})


def hidden(nodes: list[Any]) -> onnx.ModelProto:
    """Let answers through a node that does not say what they are."""
    return ending(network(), [*nodes, ("Abs", ["shares"], ["same"], {})], {"same": ["batch", 2]})


def in_percent() -> onnx.ModelProto:
    nodes = [SOFTMAX, ("Mul", ["shares", "hundred"], ["percent"], {})]
    return ending(network(), nodes, {"percent": ["batch", 2]}, hundred=np.float32(100))


def hidden_percent() -> onnx.ModelProto:
    nodes = [SOFTMAX, ("Mul", ["shares", "hundred"], ["percent"], {}), ("Abs", ["percent"], ["same"], {})]
    return ending(network(), nodes, {"same": ["batch", 2]}, hundred=np.float32(100))


def written_out() -> onnx.ModelProto:
    nodes = [
        ("Exp", ["logits"], ["e"], {}),
        ("ReduceSum", ["e", "axis"], ["sum"], {}),
        ("Div", ["e", "sum"], ["p"], {}),
    ]
    return ending(network(), nodes, {"p": ["batch", 2]}, axis=np.array([1]))


def of_one_photo(outputs: dict[str, list[int]], *nodes: Any, **constants: Any) -> onnx.ModelProto:
    return ending(network(2, 1), nodes, outputs, **constants)


def channels_last() -> onnx.ModelProto:
    model = network()
    model.graph.node[0].input[0] = "first"
    model.graph.node.insert(0, helper.make_node("Transpose", ["pixels"], ["first"], perm=[0, 3, 1, 2]))
    shape = ["batch", SIDE, SIDE, 3]
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape))
    return model


def of_2018() -> onnx.ModelProto:
    """Return an old form, which lists its weights among the inputs."""
    model = network()
    model.ir_version, model.opset_import[0].version = 3, 9
    weights = [helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in model.graph.initializer]
    model.graph.input.extend(weights)
    return model


def all_sides_open() -> onnx.ModelProto:
    model = network()
    shape = ["batch_size", "num_channels", "height", "width"]  # as optimum writes it
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape))
    return model


KINDS: dict[str, tuple[Callable[[], onnx.ModelProto], Callable[[Answers], Answers], dict[str, Any], list[str]]] = {
    "logits": (network, shares, {}, []),
    "softmax": (lambda: ending(network(), [SOFTMAX], {"shares": ["batch", 2]}), as_they_are, {}, []),
    "softmax written out": (written_out, as_they_are, {}, []),
    "softmax before an unclear node": (lambda: hidden([SOFTMAX]), as_they_are, {}, ["--head", "probabilities"]),
    "a logit within 0..1": (lambda: network(1, scale=0.3, bias=0.5), single_logit, {}, []),
    "a sigmoid": (lambda: ending(network(1), [SIGMOID], {"shares": ["batch", 1]}), single, {}, []),
    "two sigmoids": (lambda: ending(network(), [SIGMOID], {"shares": ["batch", 2]}), own, {}, []),
    "multi_label_classification": (network, own_logit, {"problem_type": "multi_label_classification"}, []),
    "function_to_apply": (network, own_logit, {"function_to_apply": "sigmoid"}, []),
    "a named output": (two_outputs, shares, {}, ["--output-name", "logits"]),
    "features besides": (
        lambda: ending(network(), [], {"features": ["batch", 8], "logits": ["batch", 2]}),
        shares,
        {},
        [],
    ),
    "[N, C, 1, 1]": (
        lambda: ending(
            network(), [("Unsqueeze", ["logits", "axes"], ["map"], {})], {"map": ["batch", 2, 1, 1]}, axes=[2, 3]
        ),
        shares,
        {},
        [],
    ),
    "rank 1": (
        lambda: ending(network(1), [("Squeeze", ["logits", "axis"], ["row"], {})], {"row": ["batch"]}, axis=[1]),
        single_logit,
        {},
        [],
    ),
    "rank 1, of one photo": (
        lambda: of_one_photo({"row": [2]}, ("Squeeze", ["logits", "axis"], ["row"], {}), axis=[0]),
        shares,
        {},
        [],
    ),
    "a file of 2018": (of_2018, shares, {}, []),
    "[N, H, W, 3]": (channels_last, shares, {}, []),
    "all sides open": (all_sides_open, shares, {}, []),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_file_is_right_from_photo_to_answer(kind: str, tmp_path: Path, photos: list[Image.Image]) -> None:
    make, expected, config, options = KINDS[kind]
    describe(tmp_path, **config)
    onnx.save(make(), tmp_path / "plain.onnx")
    assert export(tmp_path, tmp_path / "plain.onnx", tmp_path / "out.onnx", *options) == 0
    output = "logits" if kind in ("a named output", "features besides") else None
    wanted = expected(raw_answers(tmp_path / "plain.onnx", tmp_path, photos, output))
    np.testing.assert_allclose(answers_of(tmp_path / "out.onnx", photos), wanted, atol=1e-5)
    assert np.ptp(wanted[:, 0]) > 0.01


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str, list[str]]] = {
    "unclear": (lambda: hidden([SOFTMAX]), "add --head logits", []),
    "shares said to be logits": (lambda: hidden([SOFTMAX]), "always add up to 1,", ["--head", "logits"]),
    "a softmax said to give logits": (
        lambda: ending(network(), [SOFTMAX], {"shares": ["batch", 2]}),
        "leave out --head logits",
        ["--head", "logits"],
    ),
    "logits said to be shares": (network, "which are no probabilities", ["--head", "probabilities"]),
    "percent": (in_percent, "changes probabilities after the softmax", []),
    "percent said to be logits": (hidden_percent, "always add up to 100", ["--head", "logits"]),
    "several outputs": (two_outputs, "opposite [1, 2], logits [1, 2]; choose one with --output-name", []),
    "an output that is none": (two_outputs, "has no output 'x'; it has opposite, logits", ["--output-name", "x"]),
    "one logit of two": (
        lambda: ending(network(), [("Gather", ["logits", "one"], ["row"], {"axis": 1})], {"row": ["batch"]}, one=1),
        "add --head logits",
        [],
    ),
    "softmax over the batch": (
        lambda: ending(network(), [("Softmax", ["logits"], ["shares"], {"axis": 0})], {"shares": ["batch", 2]}),
        "not to 1 as those of a softmax over the labels",
        [],
    ),
    "a softmax of one answer": (
        lambda: ending(network(1), [SOFTMAX], {"shares": ["batch", 1]}),
        "is always 1",
        [],
    ),
    "three sigmoids": (
        lambda: ending(network(3), [SIGMOID], {"shares": ["batch", 3]}),
        "there are 2 labels",
        [],
    ),
    "eight photos": (lambda: network(batch=8), "takes 8 photos at a time", []),
    "fewer bits, photo by photo": (
        lambda: of_one_photo({"row": [2]}, ("Squeeze", ["logits", "axis"], ["row"], {}), axis=[0]),
        "which stay in float",
        ["--precision", "fp16-weights"],
    ),
    "bits twice": (lambda: convert_float_to_float16(network()), "is in fp16 already", ["--precision", "fp16"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_unclear_is_refused_at_opening(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, says, options = REFUSED[kind]
    describe(tmp_path)
    onnx.save(make(), tmp_path / "plain.onnx")
    assert says in refusal(tmp_path, tmp_path / "plain.onnx", capsys, *options)


class Pixels(CalibrationDataReader):
    def __init__(self, folder: Path, photos: list[Image.Image]) -> None:
        processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)
        fed = (processor(photo, return_tensors="np")["pixel_values"] for photo in photos)
        self._rows = iter([{"pixels": pixels.astype(np.float32)} for pixels in fed])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._rows, None)


@contextmanager
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    ("kind", "precision"),
    [("fp16", "fp16"), ("fp16 inside", "fp16"), ("QDQ", "int8"), ("QOperator", "int8"), ("dynamic", "int8")],
)
def test_fewer_bits_stay_as_they_are(
    kind: str, precision: str, tmp_path: Path, photos: list[Image.Image], capsys: pytest.CaptureFixture[str]
) -> None:
    """In 8 bits also pixels between two levels, as a mean of 0.5 makes them, are rounded as its users' are."""
    describe(tmp_path)
    plain, file = tmp_path / "plain.onnx", tmp_path / "bits.onnx"
    onnx.save(network(), plain)
    with quiet():
        if kind.startswith("fp16"):
            onnx.save(convert_float_to_float16(network(), keep_io_types=kind == "fp16 inside"), file)
        elif kind == "dynamic":
            quantize_dynamic(plain, file)
        else:
            quantize_static(plain, file, Pixels(tmp_path, photos), quant_format=QuantFormat[kind])
    assert export(tmp_path, file, tmp_path / "out.onnx") == 0
    assert f"MB in {precision} by none (adopted" in capsys.readouterr().out
    wanted = shares(raw_answers(file, tmp_path, photos))
    np.testing.assert_allclose(
        answers_of(tmp_path / "out.onnx", photos), wanted, atol=5e-3 if precision == "fp16" else 1e-5
    )
    float_answers = shares(raw_answers(plain, tmp_path, photos))
    assert np.abs(wanted - float_answers).max() > (0 if precision == "fp16" else 1e-4)


def test_the_summary_is_of_what_was_written(tmp_path: Path, painted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    describe(tmp_path)
    onnx.save(network(scale=4), tmp_path / "plain.onnx")
    report = tmp_path / "report.json"
    options = ("--precision", "int8", "--images", str(painted), "--report", str(report))
    assert export(tmp_path, tmp_path / "plain.onnx", tmp_path / "out.onnx", *options) == 0
    measured = json.loads(report.read_text())
    int8 = measured["precision"]["candidates"]["int8"]
    assert int8["max_difference"] > 10 * measured["parity"]["max_difference"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"largest difference {int8['max_difference']:.1e} on {int8['images']} photos"
    assert lines[2].startswith(f"labels equal {int8['label_agreement']:.1%}")


@pytest.fixture(scope="module")
def exported_by_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Networks as `torch.onnx.export` writes them by default: for one photo, the weights in a file beside."""
    files = {}
    for family in ("convnext", "vit"):
        folder = save_family(family, tmp_path_factory.mktemp("network") / family, small=True)
        model = AutoModelForImageClassification.from_pretrained(folder).eval()
        files[family] = folder / "model.onnx"
        torch.onnx.export(model, (torch.zeros(1, 3, 64, 64),), files[family], dynamo=True, verbose=False)
        assert files[family].with_name("model.onnx.data").is_file()
    return files


@pytest.mark.parametrize("family", ["convnext", "vit"])
def test_a_file_of_torch_answers_like_the_checkpoint(
    family: str, exported_by_torch: dict[str, Path], tmp_path: Path, photos: list[Image.Image]
) -> None:
    file = exported_by_torch[family]
    ai = () if family == "convnext" else ("--ai-label", "Fake")
    assert export(file.parent, file, tmp_path / "out.onnx", *ai) == 0
    processor = AutoImageProcessor.from_pretrained(file.parent, use_fast=False)
    model = AutoModelForImageClassification.from_pretrained(file.parent).eval()
    with torch.inference_mode():
        expected = model(**processor(photos, return_tensors="pt")).logits.softmax(-1).numpy()
    np.testing.assert_allclose(answers_of(tmp_path / "out.onnx", photos), expected, atol=1e-4)
    assert np.ptp(expected[:, 0]) > 0.01


def test_the_old_form_still_works(tmp_path: Path) -> None:
    describe(tmp_path)
    onnx.save(network(), tmp_path / "plain.onnx")
    described = ["--processor", str(tmp_path / "preprocessor_config.json"), "--config", str(tmp_path / "config.json")]
    assert main(["adopt", str(tmp_path / "plain.onnx"), *described, "-o", str(tmp_path / "out.onnx")]) == 0


def test_labels_can_be_named_in_place_of_a_config(tmp_path: Path, photos: list[Image.Image]) -> None:
    describe(tmp_path)
    onnx.save(network(1), tmp_path / "plain.onnx")
    words = [str(tmp_path / "plain.onnx"), "--processor", str(tmp_path / "preprocessor_config.json")]
    assert main([*words, "--labels", "ai,real", "-o", str(tmp_path / "out.onnx")]) == 0
    wanted = single_logit(raw_answers(tmp_path / "plain.onnx", tmp_path, photos))
    np.testing.assert_allclose(answers_of(tmp_path / "out.onnx", photos), wanted, atol=1e-5)


@pytest.mark.parametrize("case", ["missing", "elsewhere", "link", "pointer", "cut"])
def test_data_is_read_only_from_the_files_own_folder(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    describe(folder)
    data, file = folder / "m.data", folder / "m.onnx"
    onnx.save(network(), file, save_as_external_data=True, location=data.name, size_threshold=0)
    if case == "pointer":
        data.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    elif case == "cut":
        data.write_bytes(data.read_bytes()[:100])
    else:
        outside = data.rename(tmp_path / "m.data")
    if case == "link":
        data.symlink_to(outside)
    if case == "elsewhere":
        file.write_bytes(file.read_bytes().replace(b"m.data", b"../m.d"))
        outside.rename(tmp_path / "m.d")
    says = {
        "missing": "keeps weights in m.data, which is not beside it",
        "elsewhere": "copy both files, no links, into one folder",
        "link": "copy both files, no links, into one folder",
        "pointer": "this is a Git LFS pointer, run git lfs pull",
        "cut": "not an ONNX file that can be used",
    }
    assert says[case] in refusal(folder, file, capsys)


def test_what_is_no_such_file_is_one_line(tmp_path: Path, portrait: Path, capsys: pytest.CaptureFixture[str]) -> None:
    describe(tmp_path)
    onnx.save(network(), tmp_path / "model.onnx")
    large = network()
    large.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 96
    onnx.save(large, tmp_path / "large.onnx")
    (tmp_path / "text.onnx").write_text("not a graph")
    (tmp_path / "pointer.onnx").write_text("version https://git-lfs.github.com/spec/v1\n")
    three = tmp_path / "three"
    describe(three.resolve(), labels=("real", "ai", "deepfake"))
    empty = tmp_path / "empty"
    empty.mkdir()
    for described_by, model, says in (
        (tmp_path, tmp_path / "large.onnx", "side of 96"),
        (tmp_path, tmp_path / "text.onnx", "not an ONNX file"),
        (tmp_path, tmp_path / "pointer.onnx", "run git lfs pull"),
        (tmp_path, portrait, "not an ONNX file"),
        (tmp_path, tmp_path / "none.onnx", "no such file"),
        (three, tmp_path / "model.onnx", "gives 2 answers"),
        (empty, tmp_path / "model.onnx", "preprocessor_config.json"),
    ):
        assert says in refusal(described_by, model, capsys)


@pytest.mark.parametrize("architectures", [5, None, [], "one"])
def test_architectures_need_not_be_a_list(architectures: object, tmp_path: Path) -> None:
    describe(tmp_path, architectures=architectures)
    onnx.save(network(), tmp_path / "plain.onnx")
    assert export(tmp_path, tmp_path / "plain.onnx", tmp_path / "out.onnx") == 0
    with Classifier(tmp_path / "out.onnx", device="cpu") as classifier:
        assert json.loads(json.dumps(dict(classifier.manifest.document)))["source"]["architecture"] == "network"

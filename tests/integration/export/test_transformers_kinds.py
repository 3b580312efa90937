"""Kinds of transformers checkpoints as people have them: right from file to answer, or refused at opening."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import pipeline

from aiface_export.cli import main
from aiface_export.source import Hints
from aiface_export.sources import open_source
from aiface_export.testing.random_checkpoints import save_family, smooth_pictures
from aiface_runtime import Classifier

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
SHAPES = ((97, 231), (403, 151), (64, 64), (65, 333))  # width, height in px
CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family("vit", tmp_path_factory.mktemp("vit") / "vit", small=True)


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    pictures = zip(smooth_pictures(), SHAPES, strict=False)
    return [picture.resize(shape, Image.Resampling.BICUBIC) for picture, shape in pictures]


def edit(name: str, **changes: object) -> Change:
    """Give values to keys of a JSON file; None takes a key away."""

    def change(folder: Path) -> None:
        values = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps({key: value for key, value in values.items() if value is not None}))

    return change


def config(**changes: object) -> Change:
    return edit(CONFIG, **changes)


def processor(kind: str | None = "ViTImageProcessor", **changes: object) -> Change:
    return edit(PROCESSOR, image_processor_type=kind, **changes)


def write(name: str, text: str) -> Change:
    return lambda folder: (folder / name).write_text(text)


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def only_processor_config(folder: Path) -> None:
    """As transformers 5 saves them."""
    settings = json.loads((folder / PROCESSOR).read_text())
    (folder / PROCESSOR).unlink()
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "X", "image_processor": settings}))


def one_logit(folder: Path) -> None:
    """Keep the difference of the two logits, which differs as much from photo to photo."""
    weights = load_file(folder / WEIGHTS)
    for name in [name for name in weights if name.startswith("classifier.")]:
        weights[name] = weights[name][1:] - weights[name][:1]
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    config(id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0})(folder)


def as_their_users_do(folder: Path, photos: Sequence[Image.Image]) -> list[dict[str, float]]:
    """Answer by transformers alone, from the files: the pipeline's scores by label."""
    classify: Any = pipeline("image-classification", model=str(folder), device="cpu")
    return [{answer["label"]: answer["score"] for answer in classify(photo, top_k=100)} for photo in photos]


MULTI_LABEL = "multi_label_classification"
RIGHT: Mapping[str, tuple[Change, Hints, str]] = {  # with the label of the pipeline that means AI
    "multi-label": (config(problem_type=MULTI_LABEL), Hints(), "Fake"),
    "multi-label, AI first": (
        config(problem_type=MULTI_LABEL, id2label={"0": "ai", "1": "real"}, label2id=None),
        Hints(),
        "ai",
    ),
    "one logit": (one_logit, Hints(labels=("real", "ai")), "LABEL_0"),
    "no image_processor_type": (processor(None), Hints(), "Fake"),
    "only processor_config.json": (only_processor_config, Hints(), "Fake"),
    "no architectures": (config(architectures=None), Hints(), "Fake"),
    "architectures as a string": (config(architectures="ViTForImageClassification"), Hints(), "Fake"),
    "a crop of the whole": (processor(do_center_crop=True, crop_size={"height": 64, "width": 64}), Hints(), "Fake"),
    "a fast processor": (processor("ViTImageProcessorFast"), Hints(), "Fake"),
    "one mean for all": (processor(image_mean=0.4, image_std=0.3), Hints(), "Fake"),
    "BiT's processor": (
        processor("BitImageProcessor", size={"shortest_edge": 71}, crop_size=64, resample=3),
        Hints(),
        "Fake",
    ),
    "PoolFormer's processor": (
        processor("PoolFormerImageProcessor", size={"shortest_edge": 64}, crop_size=64, crop_pct=0.9),
        Hints(),
        "Fake",
    ),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_source_answers_as_transformers_does(kind: str, vit: Path, tmp_path: Path, photos: list[Image.Image]) -> None:
    change, hints, ai = RIGHT[kind]
    folder = shutil.copytree(vit, tmp_path / "vit")
    change(folder)
    source = open_source(str(folder), (), hints)
    expected = [scores[ai] for scores in as_their_users_do(folder, photos)]
    assert np.ptp(expected) > 0.01, "a reference that says the same of every photo proves nothing"
    (index,) = source.ai_indices
    np.testing.assert_allclose(source.probabilities(photos)[:, index], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("family", "change", "options", "ai"),
    [
        (
            "mobilenet_v2",
            config(problem_type=MULTI_LABEL, id2label={"0": "ai", "1": "real"}, label2id=None, architectures=None),
            [],
            "ai",
        ),
        ("vit", both(one_logit, only_processor_config), ["--labels", "real,ai"], "LABEL_0"),
    ],
)
def test_a_file_gives_a_sigmoids_answers(  # noqa: PLR0917 a table and fixtures
    family: str, change: Change, options: list[str], ai: str, tmp_path: Path, photos: list[Image.Image]
) -> None:
    """Also its evidence adds up, which the export itself proves."""
    folder = save_family(family, tmp_path / family, small=True)
    change(folder)
    assert main([str(folder), "-o", str(tmp_path / "model.onnx"), *options]) == 0
    expected = [scores[ai] for scores in as_their_users_do(folder, photos)]
    assert np.ptp(expected) > 0.01
    with Classifier(tmp_path / "model.onnx", device="cpu") as classifier:
        assert (classifier.manifest.document["evidence"] is not None) == (family == "mobilenet_v2")
        np.testing.assert_allclose([classifier.predict(photo).p_ai for photo in photos], expected, atol=1e-4)


def test_what_transformers_5_does_not_save_is_computed(tmp_path: Path, photos: list[Image.Image]) -> None:
    folder = save_family("swin", tmp_path / "swin", small=True)
    expected = [scores["ai"] for scores in as_their_users_do(folder, photos)]
    weights = load_file(folder / WEIGHTS)
    kept = {name: value for name, value in weights.items() if not name.endswith("relative_position_index")}
    assert len(kept) < len(weights)
    save_file(kept, folder / WEIGHTS, {"format": "pt"})
    np.testing.assert_allclose(open_source(str(folder)).probabilities(photos)[:, 1], expected, atol=1e-6)


def test_statistics_that_are_missing_are_refused(tmp_path: Path) -> None:
    folder = save_family("resnet", tmp_path / "resnet", small=True)
    weights = load_file(folder / WEIGHTS)
    kept = {name: value for name, value in weights.items() if not name.endswith("running_var")}
    save_file(kept, folder / WEIGHTS, {"format": "pt"})
    with pytest.raises(ValueError, match="are missing"):
        open_source(str(folder))


def missing_weight(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    del weights["classifier.weight"]
    save_file(weights, folder / WEIGHTS, {"format": "pt"})


def nan_weight(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["classifier.bias"] *= torch.nan
    save_file(weights, folder / WEIGHTS, {"format": "pt"})


def three_labels(problem_type: str) -> Change:
    return config(id2label={"0": "real", "1": "ai", "2": "deepfake"}, label2id=None, problem_type=problem_type)


REFUSED: Mapping[str, tuple[Change, str]] = {
    "function_to_apply": (
        config(function_to_apply="sigmoid"),
        "function_to_apply 'sigmoid', but transformers' pipeline",
    ),
    "no function": (config(function_to_apply="none"), "function_to_apply 'none'"),
    "settings of a pipeline": (
        config(task_specific_params={"image-classification": {"problem_type": MULTI_LABEL}}),
        "task_specific_params",
    ),
    "regression": (config(problem_type="regression"), "is regression"),
    "three independent labels": (three_labels(MULTI_LABEL), "3 labels do not exclude each other"),
    "one logit without labels": (one_logit, "--labels real,ai"),
    "PEFT beside a base": (write("adapter_config.json", "{}"), "merge_and_unload()"),
    "PEFT weights": (write("adapter_model.safetensors", ""), "merge_and_unload()"),
    "LoRA of diffusers": (write("pytorch_lora_weights.safetensors", ""), "merge_and_unload()"),
    "a network's own code": (config(auto_map={"AutoConfig": "code.C"}), "(auto_map), which is never run"),
    "a processor's own code": (processor(auto_map={"AutoImageProcessor": "code.P"}), "(auto_map), which is never run"),
    "a pipeline's own code": (config(custom_pipelines={"a": {"impl": "code.P"}}), "(custom_pipelines), which is never"),
    "code in processor_config.json": (
        write("processor_config.json", '{"image_processor": {"auto_map": {"AutoImageProcessor": "code.P"}}}'),
        "(auto_map), which is never run",
    ),
    "gptq": (config(quantization_config={"quant_method": "gptq", "bits": 4}), "weights are quantised (gptq)"),
    "architectures: 5": (config(architectures=5), "architectures are 5"),
    "a base network": (config(architectures=["ViTModel"]), "is ViTModel, not an image classifier"),
    "no image classifier": (config(model_type="bert", architectures=None), "no image classifier of type 'bert'"),
    "an unknown type": (config(model_type="vit9000"), "model type `vit9000`"),
    "swapped labels": (config(id2label={"real": 0, "ai": 1}), "id2label numbers nothing by 'real'"),
    "labels as a list": (config(id2label=["real", "ai"]), "id2label is a list"),
    "labels as a string": (config(id2label="real,ai"), "id2label is a str"),
    "a label twice": (config(id2label={"0": "ai", "1": "ai"}), "id2label has 'ai' twice"),
    "lists of labels": (config(id2label={"0": ["real"], "1": ["ai"]}), "something else than names"),
    "many labels": (config(id2label={str(n): f"class {n}" for n in range(999)}), "class 7 and 991 more do not say"),
    "too many labels": (
        three_labels("single_label_classification"),
        "has not the shape [3",
    ),
    "a processor of LeViT": (
        processor("LevitImageProcessor", size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}),
        "256/224",
    ),
    "a processor of Perceiver": (
        processor("PerceiverImageProcessor", crop_size={"height": 56, "width": 56}),
        "crops a share of the shorter side",
    ),
    "CLIP's crop larger than the size": (
        processor("CLIPImageProcessor", size={"shortest_edge": 56}, crop_size={"height": 64, "width": 64}),
        "crops 64 x 64 pixels from photos that it resized to 56",
    ),
    "ConvNeXt's crop larger than the size": (
        processor("ConvNextImageProcessor", size={"shortest_edge": 64}, crop_pct=1.1),
        "crops 64 x 64 pixels from photos that it resized to 58",
    ),
    "a crop without a resize": (
        processor("CLIPImageProcessor", do_resize=False, do_center_crop=True, crop_size=64),
        "in a way that a model file cannot say",
    ),
    "a processor that fits and fills": (processor("DonutImageProcessor"), "fits the photo into its size"),
    "a crop of the fast form alone": (
        processor("ViTImageProcessorFast", do_center_crop=True, crop_size={"height": 48, "width": 48}),
        "do_center_crop is a step of its torchvision-based form alone",
    ),
    "resample as a name": (processor(resample="bicubic"), "cannot prepare a photo (Unknown resampling filter"),
    "resample null": (write(PROCESSOR, '{"image_processor_type": "ViTImageProcessor", "resample": null}'), "resample"),
    "resample 2.0": (processor(resample=2.0), "cannot prepare a photo ('float' object"),
    "a mean of one value": (processor(image_mean=[0.5]), "mean must have 3 elements"),
    "a mean of two values": (processor(image_mean=[0.5, 0.5]), "mean must have 3 elements"),
    "a size in words": (processor(size="small"), "size"),
    "a video processor": (processor("VideoMAEImageProcessor", size={"shortest_edge": 64}), "pixels [1, 1, 3, "),
    "a video processor's file": (processor(None, video_processor_type="VideoMAEVideoProcessor"), "video processor"),
    "input_ids": (processor("ImageGPTImageProcessor", clusters=[[0, 0, 0]]), "gives input_ids, not pixel_values"),
    "a processor's type that is a number": (processor(5), "names 5, which is no image processor"),  # type: ignore[arg-type]
    "another size": (processor(size={"height": 32, "width": 32}), "(32*32) doesn't match model (64*64)"),
    "weights of Git LFS": (write(WEIGHTS, LFS), "this is a Git LFS pointer, not the file itself; run git lfs pull"),
    "a config of Git LFS": (write(CONFIG, LFS), "this is a Git LFS pointer"),
    "weights of TensorFlow": (lambda folder: (folder / WEIGHTS).rename(folder / "tf_model.h5"), "tf_model.h5"),
    "a missing weight": (missing_weight, "classifier.weight first"),
    "weights that are not numbers": (nan_weight, "finite logits"),
    "no processor": (lambda folder: (folder / PROCESSOR).unlink(), "lacks preprocessor_config.json"),
    "no JSON object": (write(CONFIG, "[]"), "no JSON object"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_right_is_refused_at_opening(
    kind: str, vit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, says = REFUSED[kind]
    folder = shutil.copytree(vit, tmp_path / "vit")
    change(folder)
    capsys.readouterr()
    assert main([str(folder), "-o", str(tmp_path / "out" / "model.onnx")]) == 1
    reading, complaint = capsys.readouterr().err.splitlines()
    assert reading.startswith("reading ")
    assert says in complaint
    assert len(complaint) < len(str(folder)) + 400
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("own", "chosen"), [("ai", ("ai", "real")), ("human", ("real", "ai")), ("x", ("x", "y"))])
def test_labels_that_contradict_the_one_of_a_logit_are_refused(
    own: str, chosen: tuple[str, str], vit: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(vit, tmp_path / "vit")
    one_logit(folder)
    config(id2label={"0": own}, label2id=None)(folder)
    with pytest.raises(ValueError, match="turn the names of --labels round"):
        open_source(str(folder), [], Hints(labels=chosen))


@pytest.mark.parametrize("suffix", ["pth", "pt", "ckpt", "bin", "safetensors"])
def test_weights_alone_are_told_how_to_be_wrapped(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"weights.{suffix}"
    torch.save({"weight": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match=r"model\.save_pretrained\(FOLDER\)"):
        open_source(str(file))


def test_a_subfolder_is_opened(vit: Path) -> None:
    assert open_source(str(vit.parent), (), Hints(subfolder=vit.name)).labels == ("Real", "Fake")


def test_transformers_itself_is_silent_unless_asked(vit: Path, tmp_path: Path) -> None:
    """In a process of its own, because transformers keeps the stream that it found when it was imported."""
    folder = shutil.copytree(vit, tmp_path / "vit")
    missing_weight(folder)
    words = [str(folder), "-o", str(tmp_path / "model.onnx")]
    code = "import sys; from aiface_export.cli import main; main([*sys.argv[1:], '--verbose']); main(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-P", "-c", code, *words], capture_output=True, text=True, check=False)
    verbose, plain = done.stderr.split("reading ")[1:]
    assert "You should probably TRAIN" in verbose
    assert len(plain.splitlines()) == 2, "what is read, and the complaint"

"""Checkpoint folders → files that give the original's answers, or nothing."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    LevitImageProcessor,
    Siglip2Config,
    Siglip2ForImageClassification,
    Siglip2ImageProcessor,
)

from aiface_export.cli import main
from aiface_export.sources import open_source
from aiface_export.sources.labels import ai_labels
from aiface_export.testing.random_checkpoints import FAMILIES, TIMM, save_family
from aiface_runtime import Classifier
from aiface_runtime.errors import ManifestError
from tests.support import SHARED

# The exporters' own libraries warn of their own futures; our code is held to "no warnings" everywhere else.
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def save(folder: Path, family: str = "vit") -> Path:
    """Save a small checkpoint with random weights whose answers differ clearly between photos."""
    return save_family(family, folder, small=True)


def relabel(folder: Path, labels: list[str], **more: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": dict(enumerate(labels)), "label2id": {label: str(n) for n, label in enumerate(labels)}}
    (folder / "config.json").write_text(json.dumps(config | more))


def reference(folder: Path, photos: list[Path]) -> np.ndarray:
    """Return what a user of transformers computes, written apart from the exporter's own proof: `[photos, C]`."""
    processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    images = [Image.open(photo).convert("RGB") for photo in photos]
    with torch.inference_mode():
        answers = [model(**processor(image, return_tensors="pt")).logits.softmax(-1)[0].numpy() for image in images]
    return np.array(answers)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint to copy; tests that damage one work on their copy."""
    return save(tmp_path_factory.mktemp("vit") / "vit")


@pytest.fixture(scope="module")
def photos(portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The portrait at odd sizes and shapes, and some of the shared faces where they are."""
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(portrait) as image:
        for number, box in enumerate([(0, 0, 512, 600), (101, 50, 400, 333), (0, 200, 511, 301), (250, 0, 333, 600)]):
            image.crop(box).save(folder / f"{number}.png")
    return sorted(folder.iterdir()) + sorted((SHARED / "data" / "val").glob("*/*.jpg"))[::100]


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=pytest.mark.slow if name.startswith("swin") else ())
        for name in FAMILIES
        if name != TIMM  # test_timm.py
    ],
)
def test_the_file_gives_the_checkpoints_answers(
    family: str, tmp_path: Path, photos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(tmp_path / family, family)
    file = tmp_path / "model.onnx"
    capsys.readouterr()
    assert main([str(folder), "-o", str(file)]) == 0
    assert len(capsys.readouterr().err.splitlines()) <= 4, "a line before each long step, and no converter's chatter"
    expected = reference(folder, photos)
    assert np.ptp(expected[:, 0]) > 0.01, "a reference that says the same of every photo proves nothing"
    with Classifier(file, device="cpu") as classifier:
        for batch_size in (1, 2, 7):
            answers = classifier.predict_many(photos, batch_size=batch_size, on_error="raise")
            actual = np.array([list(answer.scores.values()) for answer in answers])
            np.testing.assert_allclose(actual, expected, atol=1e-4)
        document = classifier.manifest.document
    assert document["export"]["exporter"] in document["export"]["trials"]
    assert document["labels"] == list(FAMILIES[family].labels.values())
    assert document["source"]["architecture"].endswith("ForImageClassification")
    assert document["parity"]["images"] >= 10
    exact = family in ("swin", "swinv2", "resnet", "mobilenet_v2", "siglip", "siglip2", "efficientnet")
    assert (document["evidence"] is not None) == exact, "others have a class token, or more after the average"
    assert document["parity"].get("evidence_difference", 0.0) <= 1e-4
    model = onnx.load(file, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([family, "model.onnx"])


def test_label_order_and_meaning_come_from_the_checkpoint(vit: Path, tmp_path: Path, portrait: Path) -> None:
    """Of an opened source; that the file keeps them is proved without torch, in tests/unit/export/test_pipeline.py."""
    folder = shutil.copytree(vit, tmp_path / "vit")
    relabel(folder, ["Fake", "Real"])
    source = open_source(str(folder))
    assert (source.labels, source.ai_labels) == (("Fake", "Real"), ("Fake",))
    np.testing.assert_allclose(source.probabilities([portrait]), reference(folder, [portrait]), atol=1e-6)


def break_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def break_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def swap_weights(folder: Path) -> None:
    other = save(folder.parent / "other", "mobilenet_v2")
    shutil.copy(other / "model.safetensors", folder / "model.safetensors")


def not_a_classifier(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["ViTForMaskedImageModeling"]}))


def silent_labels(folder: Path) -> None:
    relabel(folder, ["LABEL_0", "LABEL_1"])


def pickle_weights(folder: Path) -> None:
    """A pickle that would run code if it were trusted."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(shutil.rmtree))


def unknown_processor(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text('{"image_processor_type": "NoSuchImageProcessor"}')


def broken_processor(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text('{"image_processor_type": ')


def unknown_processing(folder: Path) -> None:
    """A processor that resizes by a rule of its own, which shows in the pixels of pictures of odd shapes."""
    LevitImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(folder)


def only_weights(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    shutil.rmtree(folder)
    folder.write_bytes(weights)


def another_size(folder: Path) -> None:
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(processor | {"size": 32}))


def naflex(folder: Path) -> None:
    """SigLIP 2 with an input whose shape follows the photo's."""
    shutil.rmtree(folder)
    tower = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    labels = {"id2label": {0: "real", 1: "ai"}, "label2id": {"real": 0, "ai": 1}}
    Siglip2ForImageClassification(Siglip2Config(vision_config=tower, text_config=tower, **labels)).save_pretrained(
        folder
    )
    Siglip2ImageProcessor().save_pretrained(folder)


def old_evaluation(folder: Path) -> None:
    (folder / "evaluation.json").write_text('{"splits": {"val": {"overall": {"auc": 0.9}}}}')


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (naflex, "a size of its own"),
        (only_weights, "give its folder"),
        (another_size, "photos of 32 x 32 pixels"),
        (break_config, "lacks config.json"),
        (break_weights, "weights cannot be loaded"),
        (swap_weights, "its weights"),
        (not_a_classifier, "not an image classifier"),
        (silent_labels, "--ai-label"),
        (pickle_weights, "weights cannot be loaded"),
        (unknown_processor, "NoSuchImageProcessor"),
        (broken_processor, "preprocessor_config.json"),
        (old_evaluation, "evaluation.json: not of this version"),
        (unknown_processing, "256/224"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    damage: Callable[[Path], None], says: str, vit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(vit, tmp_path / "vit")
    damage(folder)
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.onnx").write_text("what was there before")
    capsys.readouterr()
    assert main([str(folder), "-o", str(out / "model.onnx")]) == 1
    complaints = [line for line in capsys.readouterr().err.splitlines() if line.startswith("aiface-export: ")]
    assert len(complaints) == 1
    assert says in complaints[0]
    assert [path.read_text() for path in out.iterdir()] == ["what was there before"]


@pytest.mark.slow
def test_a_full_disk_leaves_what_was_there(vit: Path, tmp_path: Path) -> None:
    """The file system refuses to write more than 20 kB."""
    file = tmp_path / "out" / "model.onnx"
    file.parent.mkdir()
    file.write_text("what was there before")
    limited = (
        "import resource, sys; from aiface_export.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); sys.exit(main())"
    )
    # optimum writes to the temporary folder too, where the same limit makes it fail: then the other exporter serves.
    command = [sys.executable, "-P", "-c", limited, str(vit), "-o", str(file)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 4, "the output cannot be written"
    assert run.stderr.splitlines()[-1].startswith(f"aiface-export: {file}: cannot be written")
    assert [path.read_text() for path in file.parent.iterdir()] == ["what was there before"]


def test_an_old_folder_is_read(vit: Path, tmp_path: Path, photos: list[Path]) -> None:
    """Weights as a pickle of tensors only, and a processor named as transformers no longer names it."""
    folder = shutil.copytree(vit, tmp_path / "old")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    old = {"image_processor_type": "ViTFeatureExtractor", "feature_extractor_type": "ViTFeatureExtractor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor | old))
    source = open_source(str(folder))
    np.testing.assert_allclose(source.probabilities(photos), reference(vit, photos), atol=1e-6)


def test_an_onnx_file_without_manifest_is_refused(tmp_path: Path) -> None:
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "plain",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "plain.onnx")
    with pytest.raises(ManifestError, match="aiface-export"):
        Classifier(tmp_path / "plain.onnx")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["real", "ai"], ["ai"]),
        (["FAKE", "REAL"], ["FAKE"]),
        (["artificial", "hum"], ["artificial"]),
        (["not_ai", "ai_gen"], ["ai_gen"]),
        (["human", "deepfake"], ["deepfake"]),
        (["real", "ai", "deepfake"], ["ai", "deepfake"]),
    ],
)
def test_what_labels_mean(labels: list[str], expected: list[str]) -> None:
    assert ai_labels(labels) == expected

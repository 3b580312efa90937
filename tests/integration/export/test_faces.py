"""Our own networks through the command: their face maps, with the evidence where there is any, and in fewer bits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from aiface_export.cli import main
from aiface_export.graph.assemble import assemble
from aiface_export.graph.convert import quiet
from aiface_export.graph.heads import head_nodes
from aiface_export.graph.quantize import to_fp16, to_int8, write_ranges
from aiface_export.graph.session import open_session
from aiface_export.sources.transformers_folder import read_transformers
from aiface_export.testing.random_checkpoints import OWN_FAMILIES, save_family
from aiface_runtime import Classifier, Verdict
from aiface_runtime.engine import Engine
from aiface_runtime.preprocess import preprocess

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
CELLS = {"efficientnet_lite": 3, "clip_blocks": 4}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("own")
    return {name: save_family(name, root / name, small=True) for name in OWN_FAMILIES}


def pictures(painted: Path) -> list[Image.Image]:
    return [Image.open(file) for file in sorted((painted / "val").glob("*/*.png"))]


def reference(folder: Path, images: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    """Compute what a user of transformers would: probabilities `[photos, C]` and faces `[photos, h, w]`."""
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    pixels = AutoImageProcessor.from_pretrained(folder, use_fast=False)(images, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        outputs = model(pixels)
    return outputs.logits.softmax(-1).numpy(), outputs.face_logits.sigmoid().numpy()


@pytest.mark.parametrize("family", OWN_FAMILIES)
def test_the_file_gives_the_checkpoints_answers_and_face_maps(
    family: str, folders: dict[str, Path], painted: Path, tmp_path: Path
) -> None:
    file = tmp_path / "model.onnx"
    assert main([str(folders[family]), "-o", str(file), "--images", str(painted), "--bundle"]) == 0
    images = pictures(painted)
    probabilities, faces = reference(folders[family], images)
    assert np.ptp(faces) > 0.1, "a face map that is the same everywhere proves nothing"
    engine = Engine(file, "cpu")
    batch = np.stack([preprocess(np.asarray(image), engine.manifest.steps) for image in images])
    outputs = engine.run(batch)
    assert outputs.faces is not None
    np.testing.assert_allclose(outputs.probabilities, probabilities, atol=1e-4)
    np.testing.assert_allclose(outputs.faces, faces, atol=1e-4)
    with Classifier(file, device="cpu") as classifier:
        answers = list(classifier.predict_many(images, on_error="raise"))
    assert [answer.face_probability for answer in answers] == pytest.approx(faces.max(axis=(1, 2)), abs=1e-4)
    unseen = [answer for answer in answers if "no_face" in answer.warnings]
    assert 0 < len(unseen) < len(answers)
    assert {answer.verdict for answer in unseen} == {Verdict.UNCERTAIN}
    document = engine.manifest.document
    size = {"height": CELLS[family], "width": CELLS[family]}
    assert document["faces"] == size | json.loads((folders[family] / "aiface.json").read_text())["faces"]
    assert document["parity"]["faces_difference"] <= 1e-4
    assert document["parity"]["face_agreement"] == 1.0
    assert (document["evidence"] is not None) == (family == "efficientnet_lite"), "the other sees class tokens too"
    assert document["parity"].get("evidence_difference", 0.0) <= 1e-4
    assert document["export"]["trials"].keys() == {"optimum", "torch.onnx dynamo"}
    onnx.checker.check_model(onnx.load(file), full_check=True)
    assert (
        f"{CELLS[family]} x {CELLS[family]} cells, how likely a face lies in each"
        in (tmp_path / "model.md").read_text()
    )


@pytest.mark.parametrize("family", OWN_FAMILIES)
def test_the_face_head_stays_in_float(family: str, folders: dict[str, Path], painted: Path, tmp_path: Path) -> None:
    source = read_transformers(folders[family])
    with quiet():
        graph = assemble(source.exporters()["torch.onnx dynamo"](), source)
    steps = source.preprocessing.steps
    pixels = np.stack([preprocess(np.asarray(image), steps) for image in pictures(painted)[:8]])
    expected = open_session(graph).run(["faces"], {"image": pixels})[0]
    with quiet():
        write_ranges(graph, pixels, "minmax", tmp_path / "ranges")
        variants = {"int8": to_int8(graph, tmp_path / "ranges", "minmax"), "fp16": to_fp16(graph)}
    head = set(head_nodes(graph))
    for precision, variant in variants.items():
        weights = {tensor.name: tensor.data_type for tensor in variant.graph.initializer}
        kept = [node for node in variant.graph.node if node.name in head and node.op_type in ("Conv", "Gemm", "MatMul")]
        assert {weights[node.input[1]] for node in kept} == {onnx.TensorProto.FLOAT}
        assert len(kept) == 2, "the classifier and the face head"
        actual = open_session(variant).run(["faces"], {"image": pixels})[0]
        assert actual.dtype == np.float32
        if precision == "fp16":  # of random weights int8 leaves little
            np.testing.assert_allclose(actual, expected, atol=0.05)


@pytest.mark.parametrize("family", OWN_FAMILIES)
def test_a_face_head_needs_thresholds(
    family: str, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(folders[family], tmp_path / family))
    (folder / "aiface.json").unlink()
    assert main([str(folder), "-o", str(tmp_path / "model.onnx")]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert "face head without thresholds; put them into its aiface.json" in line
    assert not (tmp_path / "model.onnx").exists()


def test_thresholds_need_a_face_head(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_family("mobilenet_v2", tmp_path / "mobilenet", small=True)
    shutil.copy(folders["clip_blocks"] / "aiface.json", folder)
    assert main([str(folder), "-o", str(tmp_path / "model.onnx")]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert 'thresholds of a face head that its network lacks; remove "faces"' in line

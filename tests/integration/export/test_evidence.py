"""Evidence lies where the clue is: on a network that learned one, and on the bundled model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from aiface_export.cli import main
from aiface_export.graph.assemble import assemble
from aiface_export.graph.convert import quiet
from aiface_export.graph.session import open_session
from aiface_export.sources.transformers_folder import read_transformers
from aiface_export.testing.random_checkpoints import save_family
from aiface_runtime import Classifier
from aiface_runtime.explanation import Explanation
from aiface_runtime.images import load_rgb

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def optimised(graph: onnx.ModelProto, file: Path) -> Counter[str]:
    """Count the kinds of nodes of a graph as onnxruntime runs it."""
    open_session(graph, optimized=file)
    return Counter(node.op_type for node in onnx.load(file).graph.node)


@pytest.mark.parametrize("family", ["mobilenet_v2", "swin"])
def test_onnxruntimes_fusions_survive(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is added but the contributions, their shape, and a change of layout."""
    source = read_transformers(save_family(family, tmp_path / family, small=True))
    with quiet():
        network = source.exporters()["optimum"]()
        copy = onnx.ModelProto.FromString(network.SerializeToString())
        with_evidence = optimised(assemble(network, source), tmp_path / "optimised.onnx")
        monkeypatch.setattr("aiface_export.graph.assemble.add_evidence", lambda *_: None)
        without = optimised(assemble(copy, source), tmp_path / "optimised.onnx")
    assert not without - with_evidence
    added = with_evidence - without
    assert {"Conv": 1, "Reshape": 1}.items() <= added.items()
    assert added.total() <= 4


def odds(explanation: Explanation) -> float:
    p_ai = explanation.prediction.p_ai
    return float(np.log(p_ai) - np.log1p(-p_ai))


def masked(explanation: Explanation, row: int, column: int, cells: int) -> np.ndarray:
    """Return the photo with a square of cells in its mean colour."""
    left, top, right, bottom = explanation.region
    height, width = explanation.evidence.shape
    across, down = (right - left) / width, (bottom - top) / height
    photo = explanation.photo.copy()
    rows = slice(round(top + row * down), round(top + (row + cells) * down))
    columns = slice(round(left + column * across), round(left + (column + cells) * across))
    photo[rows, columns] = explanation.photo.mean(axis=(0, 1))
    return photo


def moved_by_masking(classifier: Classifier, photos: Sequence[np.ndarray], cells: int) -> np.ndarray:
    """Return how far log-odds move, `[photos, 2]`: with the hottest square masked; with random ones, mean of four."""
    rng, moved = np.random.default_rng(0), []
    for photo in photos:
        explanation = classifier.explain(photo)
        rows, columns = (side - cells + 1 for side in explanation.evidence.shape)
        windows = np.lib.stride_tricks.sliding_window_view(explanation.evidence, (cells, cells)).sum(axis=(2, 3))
        squares = [np.unravel_index(windows.argmax(), windows.shape)]
        squares += [(rng.integers(rows), rng.integers(columns)) for _ in range(4)]
        answers = [
            odds(classifier.explain(masked(explanation, int(row), int(column), cells))) for row, column in squares
        ]
        change = np.abs(np.array(answers) - odds(explanation))
        moved.append((change[0], change[1:].mean()))
    return np.array(moved)


def test_masking_what_the_bundled_model_points_at_moves_its_score_most(shared_data: Path) -> None:
    with Classifier(device="cpu") as classifier:
        if classifier.manifest.evidence is None:
            pytest.skip("the bundled model was exported before there was evidence")
        files = sorted((shared_data / "val" / "ai").glob("*.jpg"))[::9]
        called = (photo for photo in map(load_rgb, files) if classifier.predict(photo).p_ai >= 0.5)
        photos = [photo for photo, _ in zip(called, range(40), strict=False)]
        assert len(photos) >= 20
        cells = max(1, round(classifier.manifest.evidence.width * 3 / 7))
        hottest, random = moved_by_masking(classifier, photos, cells).T
    assert hottest.mean() > 1.2 * random.mean()
    assert (hottest > random).mean() > 0.6


SIDE, CLUE = 64, 16


def clued(rng: np.random.Generator, *, ai: bool) -> tuple[np.ndarray, tuple[int, int]]:
    """Paint a smooth picture and, in those of the AI, somewhere a patch of stripes; return the patch's corner too."""
    coarse = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).copy()
    top, left = (int(corner) for corner in rng.integers(0, SIDE - CLUE, 2))
    if ai:
        pixels[top : top + CLUE, left : left + CLUE : 2] //= 3
    return pixels, (top, left)


@pytest.fixture(scope="module")
def striped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export a small ResNet that learned for some seconds to see the stripes."""
    folder = tmp_path_factory.mktemp("striped")
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    names = {"id2label": {0: "real", 1: "ai"}, "label2id": {"real": 0, "ai": 1}}
    config = ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic", downsample_in_first_stage=False,
        **names,
    )  # fmt: skip
    network, processor = ResNetForImageClassification(config), ViTImageProcessor(size={"height": SIDE, "width": SIDE})
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(60):
        targets = np.arange(16) % 2
        pictures = [Image.fromarray(clued(rng, ai=bool(target))[0]) for target in targets]
        pixels = processor(pictures, return_tensors="pt")["pixel_values"]
        loss = network.train()(pixels, labels=torch.tensor(targets)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.save_pretrained(folder / "checkpoint")
    processor.save_pretrained(folder / "checkpoint")
    assert main([str(folder / "checkpoint"), "-o", str(folder / "striped.onnx")]) == 0
    return folder / "striped.onnx"


@pytest.mark.slow
def test_evidence_lies_on_the_clue_and_masking_it_moves_the_score_most(striped: Path) -> None:
    rng = np.random.default_rng(1)
    with Classifier(striped, device="cpu") as classifier:
        samples = [clued(rng, ai=True) for _ in range(30)]
        hits = []
        for photo, (top, left) in samples:
            explanation = classifier.explain(photo)
            cell = SIDE / explanation.evidence.shape[0]
            row, column = np.unravel_index(explanation.evidence.argmax(), explanation.evidence.shape)
            y, x = (row + 0.5) * cell, (column + 0.5) * cell
            hits.append(top - cell <= y <= top + CLUE + cell and left - cell <= x <= left + CLUE + cell)
        assert np.mean(hits) >= 0.9
        assert np.mean([classifier.predict(photo).p_ai >= 0.5 for photo, _ in samples]) >= 0.9
        hottest, random = moved_by_masking(classifier, [photo for photo, _ in samples], round(CLUE / cell)).T
    assert hottest.mean() > 2 * random.mean()

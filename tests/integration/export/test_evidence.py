"""The evidence map: exact where a network ends in an average and linear layers, absent elsewhere, true to places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from aiface_export.cli import main
from aiface_export.graph.assemble import assemble
from aiface_export.graph.convert import quiet
from aiface_export.graph.evidence import add_evidence, describe, margin_weights
from aiface_export.sources.transformers_folder import read_transformers
from aiface_export.testing.random_checkpoints import save_family
from aiface_runtime import Classifier
from aiface_runtime.explanation import Explanation
from aiface_runtime.images import load_rgb

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

CHANNELS, HIDDEN = 6, 5


def network(*layers: tuple[str, Sequence[Any], dict[str, Any]], side: int = 32) -> onnx.ModelProto:
    """Features of 4 x 4 places, and layers from them to probabilities; arrays among the inputs become weights."""
    rng = np.random.default_rng(1)
    stem: list[tuple[str, Sequence[Any], dict[str, Any]]] = [
        ("Transpose", [], {"perm": [0, 3, 1, 2]}),
        ("Cast", [], {"to": TensorProto.FLOAT}),
        ("Conv", [rng.normal(0, 0.002, (CHANNELS, 3, 8, 8))], {"strides": [8, 8]}),
        ("Relu", [], {}),
    ]
    nodes, weights, tensor = [], [], "image"
    for number, (kind, extra, options) in enumerate([*stem, *layers, ("Softmax", [], {})]):
        names = []
        for place, value in enumerate(extra):
            names.append(f"{number}.{place}")
            array = np.asarray(value)
            weights.append(
                numpy_helper.from_array(array.astype(np.float32) if array.dtype == float else array, names[-1])
            )
        made = "probabilities" if number == len(stem) + len(layers) else f"t{number}"
        nodes.append(helper.make_node(kind, [tensor, *names], [made], name=made, **options))
        tensor = made
    columns = 3 if any(3 in np.shape(value) for value in layers[-1][1]) else 2
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", side, side, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", columns])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


POOL = ("GlobalAveragePool", [], {})
FLAT = ("Flatten", [], {"axis": 1})
HEAD = ("Gemm", [normal(CHANNELS, 2), normal(2)], {})
LINEAR = {
    "a Gemm, scaled and turned": (POOL, FLAT, ("Gemm", [normal(2, CHANNELS), normal(2)], {"transB": 1, "alpha": 0.5})),
    "MatMul, Add and a temperature": (
        ("ReduceMean", [np.array([-1, -2])], {"keepdims": 0}),
        ("MatMul", [normal(CHANNELS, 2)], {}),
        ("Add", [normal(2)], {}),
        ("Mul", [np.array([0.7])], {}),
    ),
    "a 1x1 convolution": (POOL, ("Conv", [normal(2, CHANNELS, 1, 1), normal(2)], {}), FLAT),
    "two linear layers": (POOL, FLAT, ("MatMul", [normal(CHANNELS, HIDDEN)], {}), ("Gemm", [normal(HIDDEN, 2)], {})),
    "channels last": (
        ("Transpose", [], {"perm": [0, 2, 3, 1]}),
        ("ReduceMean", [np.array([1, 2])], {"keepdims": 0}),
        HEAD,
    ),
    "a single logit": (POOL, FLAT, ("Gemm", [normal(CHANNELS, 1)], {}), ("MatMul", [np.array([[0.0, 1.0]])], {})),
    "three labels": (POOL, FLAT, ("Gemm", [normal(CHANNELS, 3), normal(3)], {})),
    "a window over all": (("AveragePool", [], {"kernel_shape": [4, 4]}), FLAT, HEAD),
}
OTHERS = {
    "a hidden layer": (POOL, FLAT, ("MatMul", [normal(CHANNELS, CHANNELS)], {}), ("Relu", [], {}), HEAD),
    "a maximum": (("GlobalMaxPool", [], {}), FLAT, HEAD),
    "a window over a part": (("AveragePool", [], {"kernel_shape": [3, 3], "strides": [2, 2]}), FLAT, HEAD),
    "no average": (FLAT, ("Gemm", [normal(CHANNELS * 16, 2)], {})),
}


@pytest.mark.parametrize("ai", [[0], [1]])
@pytest.mark.parametrize("how", LINEAR)
def test_contributions_add_up_to_the_log_odds(how: str, ai: list[int]) -> None:
    graph = network(*LINEAR[how])
    columns = 3 if how == "three labels" else 2
    add_evidence(graph, columns, ai)
    onnx.checker.check_model(graph, full_check=True)
    described = describe(graph, columns, ai)
    assert described is not None
    assert (described["height"], described["width"]) == (4, 4)
    photos = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    photos[1, :16] = 255
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    probabilities, evidence = session.run(["probabilities", "evidence"], {"image": photos})
    logs = np.log(probabilities.astype(np.float64))
    margin = logs @ margin_weights(columns, ai)
    if columns == 2:
        np.testing.assert_allclose(margin, logs[:, ai[0]] - logs[:, 1 - ai[0]])
    np.testing.assert_allclose(evidence.mean(axis=(1, 2)) + described["bias"], margin, atol=1e-4)
    assert np.ptp(margin) > 0.01
    photos[:, 8:16, 24:] = 0  # a place sees nothing else here, so nothing else changes
    (changed,) = session.run(["evidence"], {"image": photos})
    assert {(row, column) for _, row, column in np.argwhere(changed != evidence)} == {(1, 3)}


@pytest.mark.parametrize("how", OTHERS)
def test_what_is_no_sum_over_places_is_left_alone(how: str) -> None:
    graph = network(*OTHERS[how])
    before = graph.SerializeToString()
    add_evidence(graph, 2, [1])
    assert graph.SerializeToString() == before
    assert describe(graph, 2, [1]) is None


@pytest.mark.parametrize("family", ["mobilenet_v2", "swin"])
def test_onnxruntimes_fusions_survive(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is added but the contributions, their shape, and a change of layout."""
    source = read_transformers(save_family(family, tmp_path / family, small=True))

    def optimised() -> Counter[str]:
        with quiet():
            graph = assemble(source.exporters()["optimum"](), source)
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)

    with_evidence = optimised()
    monkeypatch.setattr("aiface_export.graph.assemble.add_evidence", lambda *_: None)
    without = optimised()
    assert not without - with_evidence
    added = with_evidence - without
    assert {"Conv": 1, "Reshape": 1}.items() <= added.items()
    assert added.total() <= 4


def odds(explanation: Explanation) -> float:
    p_ai = explanation.prediction.p_ai
    return float(np.log(p_ai) - np.log1p(-p_ai))


def masked(explanation: Explanation, row: int, column: int, places: int) -> np.ndarray:
    """The photo with a square of places in its mean colour."""
    left, top, right, bottom = explanation.region
    height, width = explanation.evidence.shape
    across, down = (right - left) / width, (bottom - top) / height
    photo = explanation.photo.copy()
    rows = slice(round(top + row * down), round(top + (row + places) * down))
    columns = slice(round(left + column * across), round(left + (column + places) * across))
    photo[rows, columns] = explanation.photo.mean(axis=(0, 1))
    return photo


def moved_by_masking(classifier: Classifier, photos: Sequence[np.ndarray], places: int) -> np.ndarray:
    """How far the log-odds move, `[photos, 2]`: the hottest square of places masked, and a random one, mean of four."""
    rng, moved = np.random.default_rng(0), []
    for photo in photos:
        explanation = classifier.explain(photo)
        rows, columns = (side - places + 1 for side in explanation.evidence.shape)
        windows = np.lib.stride_tricks.sliding_window_view(explanation.evidence, (places, places)).sum(axis=(2, 3))
        squares = [np.unravel_index(windows.argmax(), windows.shape)]
        squares += [(rng.integers(rows), rng.integers(columns)) for _ in range(4)]
        answers = [
            odds(classifier.explain(masked(explanation, int(row), int(column), places))) for row, column in squares
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
        places = max(1, round(classifier.manifest.evidence.width * 3 / 7))
        hottest, random = moved_by_masking(classifier, photos, places).T
    assert hottest.mean() > 1.2 * random.mean()
    assert (hottest > random).mean() > 0.6


SIDE, CLUE = 64, 16


def clued(rng: np.random.Generator, *, ai: bool) -> tuple[np.ndarray, tuple[int, int]]:
    """A smooth picture and, in those of the AI, somewhere a patch of stripes; and the patch's corner."""
    coarse = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).copy()
    top, left = (int(place) for place in rng.integers(0, SIDE - CLUE, 2))
    if ai:
        pixels[top : top + CLUE, left : left + CLUE : 2] //= 3
    return pixels, (top, left)


@pytest.fixture(scope="module")
def striped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ResNet that learned for some seconds to see the stripes, exported."""
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


def test_evidence_lies_on_the_clue_and_masking_it_moves_the_score_most(striped: Path) -> None:
    rng = np.random.default_rng(1)
    with Classifier(striped, device="cpu") as classifier:
        made = [clued(rng, ai=True) for _ in range(30)]
        hits = []
        for photo, (top, left) in made:
            explanation = classifier.explain(photo)
            cell = SIDE / explanation.evidence.shape[0]
            row, column = np.unravel_index(explanation.evidence.argmax(), explanation.evidence.shape)
            y, x = (row + 0.5) * cell, (column + 0.5) * cell
            hits.append(top - cell <= y <= top + CLUE + cell and left - cell <= x <= left + CLUE + cell)
        assert np.mean(hits) >= 0.9
        assert np.mean([classifier.predict(photo).p_ai >= 0.5 for photo, _ in made]) >= 0.9
        hottest, random = moved_by_masking(classifier, [photo for photo, _ in made], round(CLUE / cell)).T
    assert hottest.mean() > 2 * random.mean()

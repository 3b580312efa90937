"""What a graph or a device gives becomes an answer only when it can be one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiface_runtime import Classifier, errors
from aiface_runtime.engine import Engine
from tests.support.colour_model import SIDE, colour_model

GREY, WHITE = (np.full((SIDE, SIDE, 3), level, np.uint8) for level in (128, 255))
Nodes = tuple[tuple[Any, ...], ...]


def scaled_for_white(factor: float) -> tuple[Nodes, dict[str, Any]]:
    """Give nodes that multiply a white photo's probabilities, so that no self-test sees it."""
    nodes = (
        ("Greater", ["brightness", "bright"], ["white"], {}),
        ("Mul", ["right", "factor"], ["wrong"], {}),
        ("Where", ["white", "wrong", "right"], ["probabilities"], {}),
    )
    return nodes, {"bright": np.float32(250), "factor": np.float32(factor)}


@pytest.mark.parametrize(
    ("factor", "says"),
    [
        (float("nan"), "NaN or infinity"),
        (float("inf"), "NaN or infinity"),
        (float("-inf"), "NaN or infinity"),
        (10.0, "not 0 to 1"),
        (-1.0, "not 0 to 1"),
        (0.99, "do not add up to 1"),
        (0.0, "do not add up to 1"),
    ],
)
def test_a_broken_number_is_no_verdict(factor: float, says: str, tmp_path: Path) -> None:
    nodes, constants = scaled_for_white(factor)
    with Classifier(colour_model(tmp_path / "model.onnx", *nodes, constants=constants), device="cpu") as classifier:
        assert classifier.predict(GREY).p_ai == pytest.approx(0.5)
        with pytest.raises(errors.InferenceError, match=says) as caught:
            classifier.predict(WHITE)
        assert "\n" not in str(caught.value)
        assert str(tmp_path / "model.onnx") in str(caught.value)
        with pytest.raises(errors.InferenceError, match=says):
            list(classifier.predict_many([GREY, WHITE]))


@pytest.mark.parametrize("error", [1e-7, -1e-7, 5e-4])
def test_rounding_is_no_fault(error: float, tmp_path: Path) -> None:
    nodes, constants = scaled_for_white(1 + error)
    with Classifier(colour_model(tmp_path / "model.onnx", *nodes, constants=constants), device="cpu") as classifier:
        assert classifier.predict(WHITE).p_ai == pytest.approx(0.5 * (1 + error), abs=1e-6)
        assert all(0 <= score <= 1 for score in classifier.predict(WHITE).scores.values())


def test_rows_that_are_missing_in_a_large_batch_alone(tmp_path: Path) -> None:
    cut = ("Slice", ["right", "start", "end"], ["probabilities"], {})
    constants = {"start": np.array([0]), "end": np.array([3])}
    file = colour_model(tmp_path / "model.onnx", cut, constants=constants)
    engine = Engine(file, "cpu")
    assert len(engine.run(np.stack([GREY] * 3)).by_photo()) == 3
    with pytest.raises(errors.InferenceError, match=r"probabilities are not float32 \[4, 2\] but float32 \[3, 2\]"):
        engine.run(np.stack([GREY] * 4))


ROWS: dict[str, tuple[Nodes, dict[str, Any]]] = {
    "twice as many": ((("Concat", ["right", "right"], ["probabilities"], {"axis": 0}),), {}),
    "one": ((("ReduceMean", ["right", "first"], ["probabilities"], {}),), {"first": np.array([0])}),
    "none": (
        (("Slice", ["right", "zero", "zero"], ["probabilities"], {}),),
        {"zero": np.array([0])},
    ),
    "each other's": (
        (("Slice", ["right", "end", "start", "first", "step"], ["probabilities"], {}),),
        {"end": np.array([-1]), "start": np.array([-(2**31)]), "first": np.array([0]), "step": np.array([-1])},
    ),
    "sorted": (
        (
            ("Shape", ["right"], ["rows"], {"start": 0, "end": 1}),
            ("TopK", ["right", "rows"], ["falling", "_"], {"axis": 0}),
            ("Split", ["falling"], ["real", "__"], {"axis": 1, "num_outputs": 2}),
            ("Sub", ["unit", "real"], ["ai"], {}),
            ("Concat", ["real", "ai"], ["probabilities"], {"axis": 1}),
        ),
        {"unit": np.float32(1)},
    ),
    "mixed": (
        (
            ("ReduceMean", ["right", "first"], ["mean"], {}),
            ("Add", ["right", "mean"], ["sum"], {}),
            ("Mul", ["sum", "half"], ["probabilities"], {}),
        ),
        {"first": np.array([0]), "half": np.float32(0.5)},
    ),
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_that_are_not_the_photos_own_are_refused_at_opening(kind: str, tmp_path: Path) -> None:
    nodes, constants = ROWS[kind]
    file = colour_model(tmp_path / "model.onnx", *nodes, constants=constants)
    says = "its graph does not return probabilities" if kind == "one" else "it fails the model's self-test: "
    with pytest.raises(errors.ModelError, match=rf"model\.onnx: {says}") as caught:
        Classifier(file, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_graph_for_one_number_of_photos_is_refused_at_opening(tmp_path: Path) -> None:
    for batch in (1, 16):
        with pytest.raises(errors.ManifestError, match=r"does not take uint8 \['N', 8, 8, 3\]"):
            Classifier(colour_model(tmp_path / "model.onnx", batch=batch), device="cpu")


def test_what_the_host_asks_of_numpy_changes_nothing(tmp_path: Path) -> None:
    with Classifier(colour_model(tmp_path / "model.onnx"), device="cpu") as classifier, np.errstate(all="raise"):
        assert classifier.predict(GREY).p_ai == pytest.approx(0.5)

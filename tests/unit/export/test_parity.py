"""The proof itself: what it measures of hand-written files, and what it refuses."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from aiface_export.errors import ParityError
from aiface_export.graph.convert import convert
from aiface_export.manifest_builder import build_manifest
from aiface_export.options import ExportOptions
from aiface_export.verify.parity import (
    VARIANT_BATCH_TOLERANCE,
    Original,
    Parity,
    check_consistency,
    check_parity,
    verify,
)
from aiface_export.verify.photos import read_photos
from tests.support.tiny_source import BIAS, WEIGHTS, TinySource, tiny_graph, tiny_source

GOOD = Parity(
    reference="numpy",
    photos="made",
    images=16,
    max_difference=1e-4,
    mean_difference=1e-5,
    label_agreement=1.0,
    batch_difference=1e-5,
    evidence_difference=1e-4,
)


def proof(source: TinySource, folder: Path, **manifest: Any) -> Parity:
    photos = read_photos(None)
    original = Original(
        photos=photos.held_out,
        description=photos.description,
        probabilities=source.probabilities(photos.held_out).astype(np.float64),
        reference=source.reference,
    )
    conversion = convert(source)
    document = build_manifest(source, conversion, ExportOptions(), name="tiny")
    return verify(conversion.graph, document | manifest, original, folder)


def batch_dependent() -> onnx.ModelProto:
    """Return a graph that adds a hundredth of the batch's largest answer."""
    model = tiny_graph()
    graph = model.graph
    graph.node[-1].output[0] = "own"
    graph.node.append(helper.make_node("ReduceMax", ["own", "batch_axis"], ["others"], name="over the batch"))
    graph.node.append(helper.make_node("Mul", ["others", "share"], ["leak"], name="leak"))
    graph.node.append(helper.make_node("Add", ["own", "leak"], ["logits"], name="add"))
    graph.initializer.append(numpy_helper.from_array(np.array([0], dtype=np.int64), "batch_axis"))
    graph.initializer.append(numpy_helper.from_array(np.array(0.01, dtype=np.float32), "share"))
    return model


def test_a_good_file_passes_and_nothing_is_left(tmp_path: Path) -> None:
    parity = proof(tiny_source(), tmp_path)
    check_parity(parity, "tiny")
    assert parity.images == 16
    assert parity.evidence_difference is not None
    assert not list(tmp_path.iterdir())
    assert json.loads(json.dumps(parity.to_json())) == {
        "reference": "numpy, float64",
        "photos": "cuts of matplotlib's sample portrait",
        "images": 16,
        "max_difference": parity.max_difference,
        "mean_difference": parity.mean_difference,
        "label_agreement": 1.0,
        "tolerance": 1e-4,
        "batch_sizes": [1, 2, 7],
        "batch_difference": parity.batch_difference,
        "batch_tolerance": 1e-5,
        "evidence_difference": parity.evidence_difference,
        "evidence_tolerance": 1e-4,
    }


def test_other_weights_are_measured_and_refused(tmp_path: Path) -> None:
    weights = WEIGHTS.copy()
    weights[0, 1] += 0.1
    parity = proof(tiny_source(tiny_graph(weights)), tmp_path)
    photos = read_photos(None).held_out
    right, wrong = (source.probabilities(photos) for source in (tiny_source(), tiny_source(weights=weights)))
    assert parity.max_difference == pytest.approx(np.abs(right - wrong).max(), abs=1e-6)
    assert parity.mean_difference == pytest.approx(np.abs(right - wrong).mean(), abs=1e-6)
    with pytest.raises(ParityError, match=r"tiny: the converted graph does not give .*labels equal 100.0%"):
        check_parity(parity, "tiny")


def test_swapped_labels_are_counted(tmp_path: Path) -> None:
    bias = np.array(BIAS[::-1])
    model = tiny_graph(np.ascontiguousarray(WEIGHTS[:, ::-1]))
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(bias, "bias"))
    assert proof(tiny_source(model), tmp_path).label_agreement == 0.0


def test_an_answer_that_depends_on_its_batch_is_seen(tmp_path: Path) -> None:
    parity = proof(tiny_source(batch_dependent()), tmp_path)
    assert parity.batch_difference > 1e-4
    with pytest.raises(ParityError, match="batches of 1, 2, 7"):
        check_consistency(parity, "tiny")


def test_evidence_that_does_not_add_up_is_seen(tmp_path: Path) -> None:
    parity = proof(tiny_source(), tmp_path, evidence={"height": 8, "width": 8, "bias": 3.0})
    assert parity.evidence_difference is not None
    assert parity.evidence_difference > 0.1
    with pytest.raises(ParityError, match="evidence does not add up"):
        check_parity(parity, "tiny")


@pytest.mark.parametrize(
    "worse",
    [
        {"max_difference": 1.01e-4},
        {"max_difference": math.nan},
        {"label_agreement": 15 / 16},
        {"batch_difference": 1.01e-5},
        {"batch_difference": math.nan},
        {"evidence_difference": 1.01e-4},
        {"evidence_difference": math.nan},
    ],
)
def test_the_contract(worse: dict[str, float]) -> None:
    check_parity(GOOD, "tiny")
    check_parity(replace(GOOD, evidence_difference=None), "tiny")
    with pytest.raises(ParityError, match="nothing was written"):
        check_parity(replace(GOOD, **worse), "tiny")


def test_a_variants_batches_may_differ_more() -> None:
    variant = replace(GOOD, max_difference=0.2, batch_difference=1e-3)
    check_consistency(variant, "tiny", VARIANT_BATCH_TOLERANCE)
    with pytest.raises(ParityError, match=r"at most 0\.001"):
        check_consistency(replace(variant, batch_difference=1.1e-3), "tiny", VARIANT_BATCH_TOLERANCE)

"""Evaluations, by split, condition, source and generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_evaluation.condition_metrics import condition_result
from aiface_evaluation.conditions import CONDITIONS
from aiface_evaluation.dataset import Sample, read_samples
from aiface_evaluation.decodable import hash_of
from aiface_evaluation.errors import DataError
from aiface_evaluation.evaluate import ModelScorer, assess
from aiface_evaluation.metrics import share_interval
from aiface_evaluation.records.results import ConditionResult, PointRates, VerdictShares
from aiface_runtime import Classifier
from aiface_runtime.errors import ImageDecodeError, InputError
from aiface_runtime.manifest import OperatingPoint

POINTS = {"balanced": OperatingPoint(0.25, 0.85), "plain": OperatingPoint(0.5, 0.5)}
MODEL = "aiface-lite0"


def test_every_condition_is_scored_as_the_runtime_answers(painted: Path) -> None:
    samples = [sample for sample in read_samples(painted) if sample.split == "val"][:5]
    scores = ModelScorer(MODEL).score(samples, tuple(CONDITIONS), iter)
    with Classifier() as classifier:
        for index, sample in enumerate(samples):
            with Image.open(sample.path) as photo:
                for name, condition in CONDITIONS.items():
                    expected = classifier.predict(condition.apply(photo.convert("RGB"))).p_ai
                    assert scores[name][index] == pytest.approx(expected, abs=1e-5)


def test_a_photo_that_cannot_be_decoded_is_an_error_or_left_out(painted: Path, tmp_path: Path) -> None:
    broken = Sample(tmp_path / "broken.jpg", "real", "s", split="val")
    broken.path.write_bytes(b"no photo")
    samples = [sample for sample in read_samples(painted) if sample.split == "val"]
    with pytest.raises(ImageDecodeError, match=r"broken\.jpg"):
        ModelScorer(MODEL).score([samples[0], broken], ("web",), iter)
    with pytest.raises(ImageDecodeError, match=r"broken\.jpg"):
        assess(ModelScorer(MODEL), [*samples, broken], iter)
    errors: list[InputError] = []
    evaluation = assess(ModelScorer(MODEL), [*samples[:7], broken, *samples[7:]], iter, on_undecodable=errors.append)
    whole = assess(ModelScorer(MODEL), samples, iter)
    assert len(errors) == evaluation.left_out == 1
    assert replace(evaluation, left_out=0) == whole, "it counts nowhere"
    with pytest.raises(DataError, match="both labels"):
        assess(ModelScorer(MODEL), [broken, samples[0]], iter, on_undecodable=errors.append)


def test_an_evaluation_names_its_photos_by_hash(painted: Path) -> None:
    samples = [sample for sample in read_samples(painted) if sample.split == "val"]
    photos = assess(ModelScorer(MODEL), samples, iter).photos
    expected = ModelScorer(MODEL).score(samples, ("clean",), iter)["clean"]
    assert photos.keys() == {"val"}
    assert photos["val"] == {hash_of(s): pytest.approx(p, abs=2e-6) for s, p in zip(samples, expected, strict=True)}


def _samples(labels: Sequence[str]) -> list[Sample]:
    return [Sample(Path("x"), label, label + str(n % 2), label, "val") for n, label in enumerate(labels)]


def _result(scores: list[float], seen: set[str] | None = None) -> ConditionResult:
    samples = _samples(["real", "real", "real", "ai", "ai"])
    return condition_result(samples, np.array(scores), POINTS, seen or set())


def test_results_against_hand_counts() -> None:
    clean = _result([0.1, 0.2, 0.9, 0.8, 0.3], seen={"real0", "ai0"})
    assert clean.overall.auc == pytest.approx(4 / 6)
    assert clean.overall.points["balanced"] == PointRates(
        fpr=pytest.approx(1 / 3),
        tpr=0.0,
        uncertain=pytest.approx(2 / 5),
        fpr_interval=share_interval(1, 3),
        tpr_interval=share_interval(0, 2),
    )
    assert clean.sources["real0"].accuracy == pytest.approx(1 / 2)
    assert clean.sources["real0"].verdicts["balanced"] == VerdictShares(ai=0.5, uncertain=0.0, real=0.5)
    assert clean.sources["real1"].auc == 1.0
    assert clean.generators.keys() == {"ai"}, "a real photo has none, whatever the manifest says"
    assert clean.seen is not None
    assert clean.unseen is not None
    assert clean.seen.n_real == 2
    assert clean.seen.auc == pytest.approx(1 / 2)
    assert clean.unseen.auc == 1.0
    assert _result([0.1, 0.2, 0.3, 0.8, 0.9]).overall.generators_tpr_at_1_fpr == 1.0
    assert _result([0.1, 0.2, 0.3, 0.8, 0.9]).seen is None


def test_kinds_of_ai_photos_are_measured_against_all_real_ones() -> None:
    kinds = {"ai": ("generated", "swap"), "real": ("",)}
    samples = [Sample(Path("x"), label, label, kind=kind) for label, names in kinds.items() for kind in names * 2]
    groups = condition_result(samples, np.array([0.9, 0.2, 0.8, 0.3, 0.1, 0.25]), POINTS).kinds
    assert {name: (group.n, group.auc) for name, group in groups.items()} == {"generated": (2, 1.0), "swap": (2, 0.75)}
    assert groups["generated"].ece == pytest.approx((0.1 + 0.2 + 0.1 + 0.25) / 4)
    assert groups["swap"].intervals.keys() >= {"auc", "tpr_at_1_fpr", "generators_tpr_at_1_fpr"}


def test_a_split_without_one_label_cannot_be_evaluated() -> None:
    with pytest.raises(DataError, match="the val split needs photos of both labels"):
        assess(ModelScorer(MODEL), _samples(["real", "real"]), iter)
    with pytest.raises(DataError, match="no photos"):
        assess(ModelScorer(MODEL), [], iter)


def test_a_source_of_both_labels_is_two() -> None:
    samples = [Sample(Path("x"), label, "site") for label in ("real", "real", "ai")]
    sources = condition_result(samples, np.array([0.1, 0.9, 0.8]), POINTS).sources
    assert {name: group.n for name, group in sources.items()} == {"site (ai)": 1, "site (real)": 2}

"""Probabilities and thresholds, and the command that fits them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from scipy.stats import beta
from transformers import MobileNetV2Config, MobileNetV2ForImageClassification, MobileNetV2ImageProcessor

from aiface_evaluation.calibration import expected_calibration_error, fit_platt, reliability
from aiface_evaluation.dataset import Sample, read_samples
from aiface_evaluation.operating_points import operating_points
from aiface_evaluation.types import Scores
from aiface_training.cli import main
from aiface_training.scorer import CheckpointScorer

CONDITIONS = ("clean", "web", "hard")


def _samples(groups: dict[tuple[str, str], int]) -> list[Sample]:
    return [
        Sample(Path(f"{name}{n}"), label, name if label == "real" else "s", name if label == "ai" else "", "val")
        for (label, name), count in groups.items()
        for n in range(count)
    ]


def test_slope_and_bias_are_found_and_calibrate() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(0.0, 3.0, 40_000)
    target = (rng.random(40_000) < expit(margin)).astype(int)
    slope, bias = fit_platt(4.0 * margin + 2.0, target)
    assert slope == pytest.approx(0.25, rel=0.05)
    assert bias == pytest.approx(-0.5, abs=0.05)
    assert expected_calibration_error(expit(slope * (4.0 * margin + 2.0) + bias), target) < 0.02
    assert expected_calibration_error(expit(4.0 * margin + 2.0), target) > 0.05
    few = np.flatnonzero(target == 1)[::10]  # both labels weigh the same, however many there are of each
    kept = np.concatenate([few, np.flatnonzero(target == 0)])
    assert fit_platt(margin[kept], target[kept])[1] == pytest.approx(0.0, abs=0.1)
    assert np.isfinite(fit_platt(np.array([-1.0, 1.0]), np.array([0, 1]))).all(), "where labels separate"


def test_reliability_against_hand_counts() -> None:
    p_ai, target = np.array([0.05, 0.15, 0.95, 0.85, 1.0]), np.array([0, 1, 1, 0, 1])
    found = reliability(p_ai, target, bins=2)
    np.testing.assert_allclose(found, [[0.1, 0.5, 2], [2.8 / 3, 2 / 3, 3]])
    assert expected_calibration_error(p_ai, target, bins=2) == pytest.approx((0.4 * 2 + (2.8 - 2) / 3 * 3) / 5)


@pytest.fixture(scope="module")
def scored() -> tuple[list[Sample], dict[str, np.ndarray]]:
    """Photos of which one real source looks like AI and one generator like real photos, worse from tier to tier."""
    means = {
        ("real", "plain"): -2.5,
        ("real", "studio"): 0.5,
        ("real", "few"): 3.0,
        ("ai", "easy"): 3.0,
        ("ai", "candid"): -1.0,
    }
    samples = _samples(dict(zip(means, (700, 80, 10, 600, 100), strict=True)))
    centre = np.array([means[s.label, s.source if s.label == "real" else s.generator] for s in samples])
    rng = np.random.default_rng(0)
    scores = {
        condition: expit(rng.normal(centre * shrink, 1.3))
        for condition, shrink in zip(CONDITIONS, (1.0, 0.9, 0.5), strict=True)
    }
    return samples, scores


def test_operating_points_keep_their_promises(scored: tuple[list[Sample], dict[str, np.ndarray]]) -> None:
    samples, scores = scored
    points = operating_points(scores, samples)
    real = np.array([s.label == "real" for s in samples])
    studio = np.array([s.source == "studio" for s in samples])
    candid = np.array([s.generator == "candid" for s in samples])
    balanced, rarely, eagerly = (points[name] for name in ("balanced", "low_false_alarm", "high_recall"))

    def accused(threshold: float, mask: np.ndarray, condition: str) -> float:
        return float((scores[condition][mask] >= threshold).mean())

    everyday = [(mask, condition) for mask in (real, studio) for condition in ("clean", "web")]
    limits = [0.02, 0.02, 0.05, 0.05]
    kept = [accused(balanced["ai_from"], *at) <= limit for at, limit in zip(everyday, limits, strict=True)]
    lower = [accused(balanced["ai_from"] - 2e-5, *at) <= limit for at, limit in zip(everyday, limits, strict=True)]
    assert all(kept)
    assert not all(lower), "no lower threshold does it"
    assert balanced["real_below"] <= balanced["ai_from"]
    for condition in ("clean", "web"):
        assert (scores[condition][~real] < balanced["real_below"]).mean() <= 0.1
        assert (scores[condition][candid] < balanced["real_below"]).mean() <= 0.5
    for condition in CONDITIONS:
        called = int((scores[condition][real] >= rarely["ai_from"]).sum())
        assert beta.ppf(0.95, called + 1, real.sum() - called) <= 0.01
        assert (scores[condition][~real] < eagerly["real_below"]).mean() <= 0.05
    assert rarely["ai_from"] >= balanced["ai_from"]
    assert eagerly["real_below"] == eagerly["ai_from"]


def test_operating_points_say_what_they_do(scored: tuple[list[Sample], dict[str, np.ndarray]]) -> None:
    samples, scores = scored
    real = np.array([s.label == "real" for s in samples])
    for point in operating_points(scores, samples).values():
        assert point["measured"].keys() == set(CONDITIONS)
        for condition, measured in point["measured"].items():
            p_ai, low, high = scores[condition], point["real_below"], point["ai_from"]
            assert measured["false_positive_rate"] == pytest.approx((p_ai[real] >= high).mean())
            assert measured["true_positive_rate"] == pytest.approx((p_ai[~real] >= high).mean())
            assert measured["uncertain"] == pytest.approx(((p_ai >= low) & (p_ai < high)).mean())


def test_few_photos_set_no_threshold_of_their_own() -> None:
    """A source of ten photos that are all taken for AI must not blind the default; few reals cannot promise 1 %."""
    samples = _samples({("real", "plain"): 990, ("real", "few"): 10, ("ai", "easy"): 100})
    p_ai = np.concatenate([np.linspace(0.0, 0.3, 990), np.full(10, 0.99), np.linspace(0.6, 1.0, 100)])
    balanced = operating_points({"clean": p_ai}, samples)["balanced"]
    assert balanced["ai_from"] == 0.5
    assert balanced["real_below"] == 0.5, "never beyond ai_from"
    half = [sample for n, sample in enumerate(samples) if n % 5 == 0]
    rarely = operating_points({"clean": p_ai[::5]}, half)["low_false_alarm"]
    assert rarely["measured"]["clean"]["false_positive_rate"] == 0.0, "of 200 photos not one"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of random weights whose answers are all AI, and overconfident."""
    torch.manual_seed(0)
    config = MobileNetV2Config(
        image_size=64, depth_multiplier=0.35, id2label={0: "real", 1: "ai"}, label2id={"real": 0, "ai": 1}
    )
    model = MobileNetV2ForImageClassification(config)
    with torch.no_grad():
        model.classifier.weight.mul_(30.0)
        model.classifier.bias.copy_(torch.tensor([-3.0, 3.0]))
    folder = tmp_path / "checkpoint"
    model.save_pretrained(folder)
    size = {"height": 64, "width": 64}
    MobileNetV2ImageProcessor(size={"shortest_edge": 64}, crop_size=size).save_pretrained(folder)
    return folder


def score(folder: Path, samples: list[Sample], conditions: tuple[str, ...]) -> dict[str, Scores]:
    return CheckpointScorer(folder).score(samples, conditions, iter)


def test_calibrating_folds_slope_and_bias_into_the_checkpoint(checkpoint: Path, painted: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert main(["calibrate", str(checkpoint), str(painted), "-o", str(made)]) == 0
    record = json.loads((made / "aiface.json").read_text())
    slope, bias = (record["calibration"][name] for name in ("slope", "bias"))
    val = [sample for sample in read_samples(painted) if sample.split == "val"]
    before, after = (score(folder, val, CONDITIONS) for folder in (checkpoint, made))
    for condition in CONDITIONS:
        np.testing.assert_allclose(logit(after[condition]), slope * logit(before[condition]) + bias, atol=1e-3)
    assert record["calibration"]["ece_after"] < record["calibration"]["ece_before"]
    assert all(point["measured"].keys() == set(CONDITIONS) for point in record["operating_points"].values())
    assert record["training"]["commands"][0].startswith("aiface-train calibrate")
    processors = [json.loads((folder / "preprocessor_config.json").read_text()) for folder in (checkpoint, made)]
    assert processors[0] == processors[1]


def test_several_checkpoints_are_averaged(checkpoint: Path, painted: Path, tmp_path: Path) -> None:
    """Of networks that differ in the last layer alone, the average gives the mean of their margins."""
    other, made = tmp_path / "other", tmp_path / "made"
    shutil.copytree(checkpoint, other)
    model = MobileNetV2ForImageClassification.from_pretrained(other)
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([1.0, 2.0]))
    model.save_pretrained(other)
    assert main(["calibrate", str(checkpoint), str(other), str(painted), "-o", str(made)]) == 0
    record = json.loads((made / "aiface.json").read_text())["calibration"]
    val = [sample for sample in read_samples(painted) if sample.split == "val"]
    one, two, both = (logit(score(folder, val, ("clean",))["clean"]) for folder in (checkpoint, other, made))
    assert np.all(one - two > 1.0), "or the average would show nothing"
    np.testing.assert_allclose(both, record["slope"] * (one + two) / 2 + record["bias"], atol=1e-3)


def test_what_cannot_be_calibrated_says_so(
    checkpoint: Path, painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_label = tmp_path / "manifest.csv"
    one_label.write_text(f"path,label\n{painted / 'val' / 'real' / '0.png'},real\n")
    wider = MobileNetV2Config(image_size=64, depth_multiplier=0.5, num_labels=2)
    MobileNetV2ForImageClassification(wider).save_pretrained(tmp_path / "wider")
    MobileNetV2ImageProcessor().save_pretrained(tmp_path / "wider")
    for places, data, says in (
        ([checkpoint], one_label, "real and ai"),
        ([tmp_path / "none"], painted, "no such checkpoint"),
        ([checkpoint, tmp_path / "wider"], painted, "not of the same architecture"),
    ):
        assert main(["calibrate", *map(str, places), str(data), "-o", str(tmp_path / "made")]) == 1
        assert says in capsys.readouterr().err

"""Tiers, figures and what the evaluation writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score, roc_curve

from aiface_evaluation.conditions import CONDITIONS, RESAVED, views
from aiface_evaluation.dataset import Sample, read_samples
from aiface_evaluation.errors import DataError
from aiface_evaluation.evaluate import ModelScorer, evaluate
from aiface_evaluation.image_stats import IMAGE_STATS, measure
from aiface_evaluation.markdown import markdown
from aiface_evaluation.metrics import breakdown, figures, intervals, roc, separation, share_interval
from aiface_evaluation.parallel import ahead
from aiface_runtime import Classifier
from aiface_runtime.errors import ImageDecodeError
from aiface_runtime.images import load_rgb
from aiface_runtime.manifest import OperatingPoint
from aiface_training.cli import main

POINTS = {"balanced": OperatingPoint(0.25, 0.85), "plain": OperatingPoint(0.5, 0.5)}


def test_tiers_differ_and_repeat(portrait: Path) -> None:
    with Image.open(portrait) as opened:
        photo = opened.convert("RGB").resize((700, 900))
    made = {name: [condition.apply(photo) for _ in range(2)] for name, condition in CONDITIONS.items()}
    assert all(one.tobytes() == two.tobytes() for one, two in made.values())
    assert {name: pair[0].size for name, pair in made.items()} == {
        "clean": (700, 900),
        "web": (398, 512),
        "hard": (273, 351),
    }
    small = photo.resize((100, 120))
    assert CONDITIONS["web"].apply(small).size == (100, 120), "nothing is enlarged for the web"
    pixels = [np.asarray(image.resize((90, 110)), dtype=float) for image in (small, CONDITIONS["web"].apply(small))]
    assert 0.2 < np.abs(pixels[0] - pixels[1]).mean() < 12, "the same picture with a codec's traces"
    sharpness = [
        np.abs(np.diff(np.asarray(pair[0].resize((398, 512)).convert("L"), float))).mean() for pair in made.values()
    ]
    assert sharpness[0] > sharpness[2]


def test_what_is_saved_again_keeps_its_pixels(portrait: Path) -> None:
    sample = Sample(portrait, "real", "s")
    jpeg, png, webp = (load_rgb(view) for view in views(sample, tuple(RESAVED)))  # type: ignore[misc]
    original = load_rgb(portrait)
    assert np.array_equal(png, original)
    assert np.array_equal(webp, original)
    assert 0 < np.abs(jpeg.astype(int) - original).mean() < 4
    assert views(sample, ("clean", "web"))[0] == portrait, "the runtime decodes a clean photo itself"


def test_every_tier_is_scored_as_the_runtime_answers(painted: Path) -> None:
    samples = [sample for sample in read_samples(painted) if sample.split == "val"][:5]
    found = ModelScorer("aiface-mobilenetv2").score(samples, tuple(CONDITIONS), iter)
    with Classifier() as classifier:
        for place, sample in enumerate(samples):
            with Image.open(sample.path) as photo:
                for name, condition in CONDITIONS.items():
                    expected = classifier.predict(condition.apply(photo.convert("RGB"))).p_ai
                    assert found[name][place] == pytest.approx(expected, abs=1e-5)
    broken = Sample(painted / "broken.jpg", "real", "s")
    broken.path.write_bytes(b"no photo")
    with pytest.raises(ImageDecodeError, match=r"broken\.jpg"):
        ModelScorer("aiface-mobilenetv2").score([*samples, broken], ("web",), iter)
    broken.path.unlink()


def test_work_ahead_is_lazy_and_in_order() -> None:
    taken = []

    def items() -> object:
        for number in range(1000):
            taken.append(number)
            yield number

    results = ahead(lambda number: number * 2, items())  # type: ignore[arg-type]
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    results.close()  # type: ignore[attr-defined]
    assert len(taken) < 500


def test_figures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    target = np.repeat([0, 1], [237, 341])
    p_ai = np.round(np.clip(rng.normal(0.4 + 0.2 * target, 0.2), 0, 1), 2)  # many ties
    found = figures(target, p_ai)
    false, true, _ = roc_curve(target, p_ai, drop_intermediate=False)
    assert found["auc"] == pytest.approx(roc_auc_score(target, p_ai))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(target, p_ai >= 0.5))
    assert found["f1"] == pytest.approx(f1_score(target, p_ai >= 0.5))
    assert found["tpr_at_1_fpr"] == pytest.approx(true[false <= 0.01].max())
    for rate, tpr in roc(p_ai[target == 0], p_ai[target == 1]):
        assert tpr == pytest.approx(true[false <= rate + 1e-12].max())


def test_figures_against_hand_counts() -> None:
    labels = ["real", "real", "real", "ai", "ai"]
    samples = [Sample(Path("x"), label, label + str(n % 2), label, "val") for n, label in enumerate(labels)]
    scores = {"clean": np.array([0.1, 0.2, 0.9, 0.8, 0.3]), "web": np.array([0.1, 0.2, 0.3, 0.8, 0.9])}
    conditions = evaluate(samples, scores, POINTS, seen={"real0", "ai0"})["val"]["conditions"]
    clean = conditions["clean"]
    overall = clean["overall"]
    assert overall["accuracy"] == pytest.approx(3 / 5)
    assert overall["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert overall["f1"] == pytest.approx(0.5)
    assert overall["auc"] == pytest.approx(4 / 6)
    assert overall["tpr_at_1_fpr"] == 0.0
    assert overall["points"]["balanced"] == {"fpr": pytest.approx(1 / 3), "tpr": 0.0, "uncertain": pytest.approx(2 / 5)}
    assert clean["sources"]["real0"]["accuracy"] == pytest.approx(1 / 2)
    assert clean["sources"]["real0"]["calls"]["balanced"] == {"ai": 0.5, "uncertain": 0.0, "real": 0.5}
    assert clean["sources"]["real1"]["auc"] == 1.0
    assert clean["generators"].keys() == {"ai"}, "a real photo has none, whatever the manifest says"
    assert clean["seen"]["n_real"] == 2
    assert clean["seen"]["auc"] == pytest.approx(1 / 2)
    assert clean["unseen"]["auc"] == 1.0
    assert conditions["web"]["overall"]["generators_tpr_at_1_fpr"] == 1.0
    with pytest.raises(DataError, match="both labels"):
        evaluate(samples[:3], {"clean": np.array([0.1, 0.2, 0.9])}, POINTS)


def test_a_source_of_both_labels_is_two() -> None:
    samples = [Sample(Path("x"), label, "site") for label in ("real", "real", "ai")]
    found = evaluate(samples, {"clean": np.array([0.1, 0.9, 0.8])}, POINTS)["all"]["conditions"]["clean"]["sources"]
    assert {name: group["n"] for name, group in found.items()} == {"site (ai)": 1, "site (real)": 2}


def test_intervals_hold_the_estimate_and_narrow() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for count in (60, 2000):
        real, ai = (rng.beta(*shape, count) for shape in ((2, 4), (4, 2)))
        found = intervals(real, ai)
        assert found == intervals(real, ai), "the same each time"
        for name, (low, high) in found.items():
            assert low <= separation(real, ai)[name][0] <= high
        widths.append(found["auc"][1] - found["auc"][0])
    assert 3 < widths[0] / widths[1] < 10, "about the root of how many more photos"
    # DeLong's standard error of AUC; a bootstrap interval is nearly four of them wide.
    placed = (np.searchsorted(np.sort(real), ai) / 2000, 1 - np.searchsorted(np.sort(ai), real) / 2000)
    assert widths[1] == pytest.approx(3.92 * np.sqrt(sum(part.var() / 2000 for part in placed)), rel=0.1)


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 10), (10, 10), (300, 1000)])
def test_the_interval_of_a_share(count: int, total: int) -> None:
    low, high = share_interval(count, total)
    assert 0 <= low <= count / total <= high <= 1
    assert high - low > 0.05 if total < 1000 else high - low < 0.07


def test_traits_of_known_pictures(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    pictures = {
        "grey": np.full((80, 120, 3), 128, dtype=np.uint8),
        "red": np.full((80, 120, 3), (255, 0, 0), dtype=np.uint8),
        "noise": noise,
    }
    found = {}
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        found[name] = dict(zip(IMAGE_STATS, measure(Sample(tmp_path / f"{name}.png", "real", "s")), strict=True))
    assert found["grey"] == {"brightness": 128.0, "size": 80.0, "sharpness": 0.0, "colourfulness": 0.0}
    assert found["red"]["colourfulness"] == pytest.approx(0.3 * np.hypot(255, 127.5))
    assert found["red"]["brightness"] == pytest.approx(76, abs=1)  # 0.299 of 255
    assert found["noise"]["sharpness"] > 1000


def test_quartiles_against_hand_counts() -> None:
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    target, p_ai = np.array([0, 1, 0, 1, 0, 1, 0, 0]), np.array([0.9, 0.8, 0.1, 0.9, 0.9, 0.2, 0.1, 0.9])
    parts = breakdown(values, target, p_ai, OperatingPoint(0.5, 0.85))
    assert [(part["from"], part["to"]) for part in parts] == [(1, 2), (3, 4), (5, 6), (7, 8)]
    assert [part["fpr"] for part in parts] == [1.0, 0.0, 1.0, 0.5]
    assert [part["tpr"] for part in parts] == [0.0, 1.0, 0.0, None]
    assert [part["auc"] for part in parts] == [0.0, 1.0, 0.0, None]
    sizes = np.array([256.0, 256, 256, 384, 384, 384, 384, 384])  # two sizes are two parts
    assert [part["n_real"] for part in breakdown(sizes, target, p_ai, POINTS["plain"])] == [2, 3]


def test_what_evaluate_writes(painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    assert main(["evaluate", "aiface-mobilenetv2", str(painted), "-o", str(file)]) == 0
    assert "== val, hard" in capsys.readouterr().out
    report = json.loads(file.read_text())
    val = report["splits"]["val"]
    assert [name for name, _ in report["conditions"]] == list(val["conditions"]) == list(CONDITIONS)
    assert val["image_statistics"].keys() == IMAGE_STATS.keys()
    assert sum(part["n_real"] + part["n_ai"] for part in val["image_statistics"]["size"]) == 16
    assert val["resaved"]["formats"]["PNG"] == {"within_0.1": 1.0, "p95": 0.0}
    assert val["resaved"]["formats"]["lossless WebP"]["p95"] == 0.0
    with Classifier() as classifier:
        points = {
            name: {"real_below": point.real_below, "ai_from": point.ai_from}
            for name, point in classifier.manifest.operating_points.items()
        }
    assert report["operating_points"] == points
    for name in ("reliability", "roc", "generators"):
        with Image.open(tmp_path / f"figures-{name}.png") as plot:
            assert min(plot.size) > 200
        assert f"figures-{name}.png" in file.with_suffix(".md").read_text()
    shuffled = json.loads(json.dumps(report, sort_keys=True))
    assert markdown(shuffled) == markdown(report), "whatever order a manifest keeps its keys in"


@pytest.mark.parametrize(("output", "says"), [("figures.txt", "must end in .json"), ("none/figures.json", "no folder")])
def test_an_output_that_cannot_be_is_refused_first(
    output: str, says: str, painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "aiface-mobilenetv2", str(painted), "-o", str(tmp_path / output)]) == 1
    assert says in capsys.readouterr().err

"""`aiface-evaluate reasons`, on a model whose errors are known: it calls what is red AI."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_evaluation.cli import main
from aiface_evaluation.reasons.changes import changes
from aiface_evaluation.reasons.page import reason_page, reason_table
from aiface_evaluation.reasons.write import manifest_reasons
from aiface_evaluation.records.reasons import ReasonReport
from aiface_runtime import Classifier
from aiface_runtime.manifest import Manifest
from tests.support import red_model

ROOT = Path(__file__).resolve().parents[3]
N = 24  # photos of each label


def photo(redness: int, rng: np.random.Generator) -> Image.Image:
    """Paint a picture with as much red and hardly any blue; the model calls AI what is redder by 150."""
    pixels = np.full((90, 90, 3), (redness, 60, 3), dtype=np.int64)
    return Image.fromarray((pixels + rng.integers(-3, 4, pixels.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of six sources: half lie near the threshold, of which 3 in 4 are wrong; of the others 1 in 4 is."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    rows = ["path,split,label,source"]
    for number in range(4 * N):
        is_ai, is_near = number % 2 == 1, number % 4 > 1
        is_wrong = number % 16 not in (6, 7) if is_near else number % 16 < 2
        nearer, near, far = (140, 165), (110, 190), (40, 250)  # 150 is the threshold
        redness = ((nearer if number % 8 > 3 else near) if is_near else far)[is_ai != is_wrong]
        photo(redness, rng).save(folder / f"{number}.png")
        rows.append(f"{number}.png,val,{'ai' if is_ai else 'real'},{number // (2 * N // 3)}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return red_model.red_model(tmp_path_factory.mktemp("model") / "red.onnx")


def manifest(file: Path) -> Manifest:
    with Classifier(file, device="cpu") as classifier:
        return classifier.manifest


@pytest.fixture(scope="module")
def report(photos: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ReasonReport, Path]:
    """The report of the command, and the model that it wrote."""
    folder = tmp_path_factory.mktemp("report")
    output, written = folder / "reasons.json", folder / "new.onnx"
    command = ["reasons", str(model), str(photos), "--changed", "12", "-o", str(output), "--write", str(written)]
    assert main([*command, "--format", "json"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["new.onnx", "reasons.json", "reasons.md"]
    return ReasonReport.from_json(json.loads(output.read_text())), written


def test_errors_near_the_threshold_are_counted(report: tuple[ReasonReport, Path], model: Path, photos: Path) -> None:
    measured, _ = report
    near = measured.rules["near_threshold"]
    assert (near.limit, near.offered, near.n_changed < near.n) == (0.5, "verdicts", True)
    files = sorted(photos.glob("*.png"))
    with Classifier(model, device="cpu") as classifier:
        answers = list(classifier.predict_many(files, on_error="raise"))
    is_ai = [int(file.stem) % 2 == 1 for file in files]
    assert sum((a.verdict == "ai") != truth for a, truth in zip(answers, is_ai, strict=True)) == 2 * N
    assert near.verdicts.rate == pytest.approx(3 / 4, abs=0.1)
    assert near.verdicts.otherwise == pytest.approx(1 / 4, abs=0.1)
    assert near.verdicts.ratio is not None
    assert near.verdicts.ratio == pytest.approx(near.verdicts.rate / near.verdicts.otherwise)


def test_every_change_is_made_and_every_limit_counted(report: tuple[ReasonReport, Path]) -> None:
    measured, _ = report
    assert set(measured.changes) == set(changes())
    assert all(sides.n == 12 for _, sides in measured.changes.values())
    counted = {(c.reason, c.limit): (c.n, c.n_changed) for c in measured.candidates}
    for limit, number in ((20, 4), (12, 3), (8, 2), (5, 1)):
        assert counted["strong_compression", limit] == (12 * number, 12 * number)
    assert counted["tiny", None] == (4 * 12, 4 * 12)
    assert counted["truncated", None][0] == counted["truncated", None][1] > 2 * 12
    assert counted["screenshot_like", None] == (2 * 12, 2 * 12)
    assert counted["no_face", None] == (0, 0), "the model has no face map"
    assert "screenshot_like" not in measured.rules


def test_the_written_model_answers_as_before_and_says_why(
    report: tuple[ReasonReport, Path], model: Path, photos: Path
) -> None:
    measured, written = report
    reasons = manifest(written).reasons
    assert reasons is not None
    assert set(reasons.rules) == set(measured.rules)
    assert "reasons" not in manifest(model).document, "the model itself is not touched"
    files = sorted(photos.glob("*.png"))[:20]
    with Classifier(model, device="cpu") as old, Classifier(written, device="cpu") as new:
        before, after = ([p.p_ai for p in c.predict_many(files, on_error="raise")] for c in (old, new))
        near = new.predict(photos / "2.png").explanation
    assert before == after
    ratio = measured.rules["near_threshold"].verdicts.ratio
    assert f"the threshold 0.50 of 'balanced' (where errors were {ratio:.1f} times as frequent)" in near


def test_the_page_has_what_was_left_out_too(report: tuple[ReasonReport, Path]) -> None:
    measured, written = report
    page = written.with_name("reasons.md").read_text()
    offered, left_out = page.partition("## Tried and left out")[::2]
    assert "near_threshold (by verdicts)" in offered
    assert "| screenshot_like |" in left_out
    assert measured.command in page


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--changed 0", (2, "at least 1")),
        ("--write new.txt", (2, "must end in .onnx")),
        ("--write none/new.onnx", (4, "cannot be written")),
        ("-o reasons.txt", (2, "must end in .json")),
    ],
)
def test_what_cannot_be_done_is_one_line(
    photos: Path, model: Path, options: str, expected: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reasons", str(model), str(photos), *options.split()]) == expected[0]
    captured = capsys.readouterr()
    assert (captured.out, len(captured.err.splitlines())) == ("", 1)
    assert expected[1] in captured.err


def test_documents_and_bundled_model_say_what_was_measured() -> None:
    """Made again by the command in docs/reasons.md, and `python -m aiface_export.rewrite models/aiface-lite0.onnx`."""
    measured = ReasonReport.from_json(json.loads((ROOT / "docs/model/reasons.json").read_text(encoding="utf-8")))
    assert (ROOT / "docs/model/reasons.md").read_text(encoding="utf-8") == reason_page(measured)
    table = reason_table(tuple(measured.rules.values()))
    text = (ROOT / "docs/reasons.md").read_text(encoding="utf-8")
    assert f"<!-- offered -->\n{table}\n<!-- end of offered -->" in text
    assert all(f"- **{reason}**" in text for reason in measured.rules)
    bundled = manifest(ROOT / "models/aiface-lite0.onnx")
    assert bundled.document["reasons"] == manifest_reasons(measured)
    assert bundled.id == measured.model

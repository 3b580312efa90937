"""`aiface-evaluate compare`: the bundled model and one that looks for red, on painted photos."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_evaluation.cli import main
from aiface_evaluation.records.comparison import Comparison
from aiface_evaluation.records.headline import headline
from aiface_evaluation.records.results import Evaluation
from aiface_runtime import Classifier
from tests.support.red_model import red_model

BUNDLED = "aiface-lite0"


@pytest.fixture
def photos(painted: Path, tmp_path: Path) -> Path:
    """The painted photos of val as a test split, each second AI one a swap."""
    rows = ["path,label,split,kind"]
    for label in ("real", "ai"):
        for number, photo in enumerate(sorted((painted / "val" / label).iterdir())):
            rows.append(f"{photo},{label},test,{('generated', 'swap')[number % 2] if label == 'ai' else ''}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    return tmp_path / "manifest.csv"


@pytest.fixture
def red(tmp_path: Path) -> str:
    return str(red_model(tmp_path / "red.onnx"))


def test_figures_and_disagreement_are_those_of_the_models(
    red: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "compare.json"
    command = ["compare", BUNDLED, red, str(photos), "--rounds", "2", "-o", str(output), "--format", "json"]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert captured.err == "", "progress is for terminals"
    comparison = Comparison.from_json(json.loads(captured.out))
    assert json.loads(output.read_text()) == json.loads(captured.out)

    assert [model.size for model in comparison.models][1] == Path(red).stat().st_size
    for model, name in zip(comparison.models, (BUNDLED, red), strict=True):
        assert model.latency is not None
        assert (model.latency.rounds, model.latency.median > 0) == (2, True)
        assert main([name, str(photos), "--split", "test", "--format", "json"]) == 0
        alone = Evaluation.from_json(json.loads(capsys.readouterr().out)).splits["test"].conditions
        assert model.splits["test"] == {condition: headline(result) for condition, result in alone.items()}

    paths = [line.split(",")[0] for line in photos.read_text().splitlines()[1:]]
    with Classifier(BUNDLED) as first, Classifier(red) as second:
        answers = [(first.predict(path), second.predict(path)) for path in paths]
    groups = comparison.pairs[0].splits["test"]["clean"]
    assert {name: part.n for name, part in groups.items()} == {"all": 16, "real": 8, "generated": 4, "swap": 4}
    counted = Counter((one.verdict.value, other.verdict.value) for one, other in answers)
    found = {(one, other): n for one, row in groups["all"].verdicts.items() for other, n in row.items()}
    assert found == {pair: counted[pair] for pair in found}
    odds = np.array([[np.log(answer.p_ai / (1 - answer.p_ai)) for answer in pair] for pair in answers])
    assert groups["all"].correlation == pytest.approx(np.corrcoef(odds.T)[0, 1], abs=1e-3)


def test_the_page_and_the_chart(red: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", BUNDLED, red, str(photos), "--rounds", "1", "-o", str(tmp_path / "c.json")]) == 0
    comparison = Comparison.from_json(json.loads((tmp_path / "c.json").read_text()))
    page = (tmp_path / "c.md").read_text()
    auc = comparison.models[1].splits["test"]["hard"].rows["generated"].auc
    assert auc.interval is not None
    assert f"| hard | generated | red@1 | 8 | 4 | {auc.value:.3f} [{auc.interval[0]:.3f}, " in page
    assert "c-auc.png" in page
    assert "c-auc.png" not in capsys.readouterr().out, "stdout has no picture"
    with Image.open(tmp_path / "c-auc.png") as chart:
        assert chart.width > 900, "a panel for latency and one for size"
        with_both = chart.width
    assert main(["compare", BUNDLED, red, str(photos), "--rounds", "0", "-o", str(tmp_path / "c.json")]) == 0
    assert Comparison.from_json(json.loads((tmp_path / "c.json").read_text())).models[0].latency is None
    with Image.open(tmp_path / "c-auc.png") as chart:
        assert chart.width < with_both


def test_files_of_one_model_are_told_apart(red: str, photos: Path, tmp_path: Path) -> None:
    other = red_model(tmp_path / "other.onnx")
    output = tmp_path / "c.json"
    assert main(["compare", red, str(other), BUNDLED, str(photos), "--rounds", "0", "-o", str(output)]) == 0
    comparison = Comparison.from_json(json.loads(output.read_text()))
    assert [model.name for model in comparison.models][:2] == ["red@1 (red.onnx)", "red@1 (other.onnx)"]
    assert len(comparison.pairs) == 3
    same = comparison.pairs[0].splits["test"]["web"]["all"]
    assert (same.opposite.value, same.first_right, same.correlation) == (0.0, None, 1.0)


def test_what_cannot_be_compared_is_one_line(red: str, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, code, says in (
        ([BUNDLED, str(photos)], 2, "takes two models or more"),
        ([red, red, str(photos)], 2, "two of the models have this name"),
        ([BUNDLED, red, str(photos), "--rounds", "-1"], 2, "--rounds -1: at least 0"),
        ([BUNDLED, "none", str(photos)], 1, "neither a model file nor an installed model"),
        ([BUNDLED, red, str(photos), "--split", "val"], 1, "no photos of the split val"),
        ([BUNDLED, red, str(photos), "-o", "none/c.json"], 4, "cannot be written"),
    ):
        assert main(["compare", *words]) == code
        captured = capsys.readouterr()
        assert (captured.out, len(captured.err.splitlines())) == ("", 1)
        assert says in captured.err

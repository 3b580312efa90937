"""Records of evaluations: what is written is read again, and so is what earlier versions wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aiface_evaluation.errors import DataError
from aiface_evaluation.markdown import markdown
from aiface_evaluation.records.results import Evaluation, PhotoSet


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The evaluation in the manifest of the bundled model's third version, with the keys of then."""
    evaluation: dict[str, Any] = json.loads((Path(__file__).parent / "version_3.json").read_text())
    return evaluation


def test_an_evaluation_of_before_reads(document: dict[str, Any]) -> None:
    evaluation = Evaluation.from_json(document)
    page = markdown(evaluation, level=3)
    for split, result in document["splits"].items():
        assert f"### {split}" in page
        for condition, parts in result.get("conditions", result.get("tiers")).items():
            overall = parts["overall"]
            assert evaluation.splits[split].conditions[condition].overall.auc == overall["auc"]
            low, high = overall["intervals"]["auc"]
            assert f"{overall['auc']:.3f} [{low:.3f}, {high:.3f}]" in page
            assert f"{parts['ece']:.3f}" in page
            assert all(f"| {name} | " in page for name in parts["sources"])
    assert evaluation.photos == {}, "it was not recorded then"


def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    evaluation = Evaluation.from_json(document)
    text = json.dumps(evaluation.to_json(), sort_keys=True)  # as a manifest does
    again = Evaluation.from_json(json.loads(text))
    assert again == evaluation
    assert markdown(again) == markdown(evaluation), "whatever order a manifest keeps its keys in"
    assert not any(f'"{old}"' in text for old in ("tiers", "traits", "familiar", "unfamiliar", "calls"))


def test_a_manifest_keeps_one_hash_of_the_photos(document: dict[str, Any]) -> None:
    photos = {"val": {"a" * 16: 0.25, "b" * 16: 0.5}, "test": {"b" * 16: 0.5}}
    evaluation = Evaluation.from_json({**document, "photos": photos, "left_out": 3})
    assert evaluation.to_json()["photos"] == photos
    short = evaluation.without_photos()
    assert short.photo_set == PhotoSet(
        count=2, sha256="4140cd727c96fc78519909820281663bee4e7c11a9f556a83a305e38394dc5aa"
    )
    assert "photos" not in short.to_json()
    assert Evaluation.from_json(short.to_json()) == short
    assert short.left_out == 3
    assert "3 listed photos could not be decoded" in markdown(short)
    assert Evaluation.from_json(document).without_photos() == Evaluation.from_json(document)


@pytest.mark.parametrize("values", [None, 1, [], {}, {"splits": {"val": {"overall": {"auc": 0.9}}}}])
def test_anything_else_is_one_line(values: Any) -> None:
    with pytest.raises(DataError, match=r"^file\.json: not of this version \(it [^\n]*\); make it again or remove it$"):
        Evaluation.from_json(values, "file.json")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"splits": {"val": 3}}, "splits.val is int"),
        ({"model": 3}, "model is int"),
        ({"tiers": [["clean"]]}, "tiers.0 has 1 entries, not 2"),
        ({"left_out": True}, "left_out is bool"),
        ({"operating_points": {"balanced": {"real_below": 0.5}}}, "operating_points.balanced lacks 'ai_from'"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], says: str, document: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=says):
        Evaluation.from_json({**document, **change})

"""The bundled model's card and index entry, against the file itself."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from aiface_export.model_card import bundle, card, main
from aiface_runtime.engine import Engine
from aiface_runtime.errors import AifaceError

MODELS = Path(__file__).resolve().parents[3] / "models"
BUNDLED = MODELS / "aiface-lite0.onnx"


def test_the_bundled_card_is_what_its_manifest_gives() -> None:
    """Made again by `python -m aiface_export.model_card models/aiface-lite0.onnx`."""
    text = BUNDLED.with_suffix(".md").read_text(encoding="utf-8")
    assert text == card(Engine(BUNDLED, "cpu").manifest, BUNDLED.stat().st_size)
    assert "7 x 7 cells" in text
    assert "| condition | real | AI |" in text
    rules = Engine(BUNDLED, "cpu").manifest.reasons
    assert rules is not None
    assert all(f"| {reason} |" in text for reason in rules.rules)


def test_the_bundled_file_is_the_one_of_the_index() -> None:
    entry = json.loads((MODELS / "index.json").read_text())["models"]["aiface-lite0"]
    data = BUNDLED.read_bytes()
    assert entry == {"file": BUNDLED.name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def test_bundling_again_gives_the_same_files(tmp_path: Path) -> None:
    bundle(Path(shutil.copy(BUNDLED, tmp_path)))
    assert (tmp_path / "index.json").read_bytes() == (MODELS / "index.json").read_bytes()
    assert (tmp_path / BUNDLED.with_suffix(".md").name).read_bytes() == BUNDLED.with_suffix(".md").read_bytes()


def test_cards_alone_leave_the_index_as_it_is(tmp_path: Path) -> None:
    main([shutil.copy(BUNDLED, tmp_path)])
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".md", ".onnx"]


def test_no_card_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_text("no graph")
    with pytest.raises(AifaceError):
        bundle(tmp_path / "other.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["other.onnx"]

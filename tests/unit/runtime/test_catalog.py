"""A name or a path becomes a file, and a bundled file is the one that was published."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiface_runtime import Classifier, errors
from aiface_runtime.catalog import entries, resolve


def test_names_paths_and_the_default(tmp_path: Path) -> None:
    default = entries()[0]
    assert resolve(None) == resolve(default.name) == default.path
    other = tmp_path / "other.onnx"
    other.touch()
    assert resolve(other) == resolve(str(other)) == other
    with pytest.raises(errors.ModelNotFoundError, match=rf"^no-such-model: .*{default.name}"):
        resolve("no-such-model")


def test_a_changed_model_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = entries()[0]
    (tmp_path / "index.json").write_bytes(entry.path.with_name("index.json").read_bytes())
    data = bytearray(entry.path.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / entry.file).write_bytes(data)
    monkeypatch.setattr("aiface_runtime.catalog._folder", lambda: tmp_path)
    with pytest.raises(errors.ModelCorruptError, match="reinstall"):
        Classifier()
    (tmp_path / entry.file).unlink()
    with pytest.raises(errors.ModelCorruptError, match="reinstall"):
        Classifier(entry.name)

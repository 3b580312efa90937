"""Files are hashed as they are and written whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from aiface_runtime.files import atomic_write, sha256_of


def test_several_files_hash_as_one_in_their_order(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_bytes(b"photo")
    second.write_bytes(b"graph")
    assert sha256_of([first, second]) == hashlib.sha256(b"photograph").hexdigest()
    assert sha256_of([second, first]) != sha256_of([first, second])


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    with atomic_write(file) as draft:
        draft.write_text("old")
        assert not file.exists()
    with pytest.raises(RuntimeError, match="cut off"):
        _fail_while_writing(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def _fail_while_writing(file: Path) -> None:
    with atomic_write(file) as draft:
        draft.write_text("half")
        raise RuntimeError("cut off")

"""A classifier of the bytes of a model file, which the program has from anywhere."""

from __future__ import annotations

import hashlib
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from aiface_runtime import Classifier, errors
from aiface_runtime.catalog import resolve
from tests.support.red_model import red_model

BUNDLED = resolve(None).read_bytes()
RED = np.full((64, 64, 3), (250, 20, 20), np.uint8)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_content_of_a_file_answers_as_the_file(kind: type, portrait: Path) -> None:
    with Classifier(device="cpu") as named, Classifier(kind(BUNDLED), device="cpu") as given:
        assert given.manifest == named.manifest
        assert given.sha256 == named.sha256
        assert given.predict(portrait).scores == named.predict(portrait).scores


def test_what_becomes_of_a_bytearray_later_changes_nothing(tmp_path: Path) -> None:
    content = bytearray(red_model(tmp_path / "red.onnx").read_bytes())
    with Classifier(content, device="cpu", threads=2) as classifier:
        expected = classifier.predict(RED).p_ai
        content[:] = bytes(len(content))
        again = list(classifier.predict_many([RED] * 4, on_error="raise"))  # opens the model once more
        assert [answer.p_ai for answer in again] == pytest.approx([expected] * 4, abs=1e-6)


def test_a_pickle_holds_the_bytes_once_and_their_hash(tmp_path: Path) -> None:
    file = red_model(tmp_path / "red.onnx")
    classifier = Classifier(file.read_bytes(), device="cpu", operating_point="balanced")
    expected = classifier.predict(RED).p_ai
    packed = pickle.dumps(classifier)
    assert packed.count(file.read_bytes()) == 1
    file.unlink()
    again = pickle.loads(packed)
    assert again.predict(RED).p_ai == expected
    damaged = packed.replace(b"Softmax", b"Sigmoid")
    with pytest.raises(errors.ModelCorruptError, match=r"^<[\d,]+ bytes>: its SHA-256 is"):
        pickle.loads(damaged)


def test_bytes_are_not_copied() -> None:
    tracemalloc.start()
    try:
        with Classifier(BUNDLED, device="cpu"):
            held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < len(BUNDLED) / 2
    assert peak < len(BUNDLED)


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"not a model", errors.ModelCorruptError, r"^<11 bytes>: is not an ONNX file"),
        (b"", errors.ManifestError, r"^<0 bytes>: an ONNX file without aiface's manifest"),
        (BUNDLED[:-100], errors.ModelCorruptError, rf"^<{len(BUNDLED) - 100:,} bytes>: is not an ONNX file"),
        (BUNDLED[: len(BUNDLED) // 2], errors.ModelCorruptError, r" bytes>: is not an ONNX file"),
        (bytearray(BUNDLED).replace(b"Conv", b"Vnoc"), errors.ModelCorruptError, r" bytes>: its graph is not the one"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_bytes(content: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        Classifier(content, device="cpu")
    assert "\n" not in str(caught.value)


def test_without_a_manifest(tmp_path: Path) -> None:
    import onnx

    model = onnx.load_from_string(red_model(tmp_path / "red.onnx").read_bytes())
    del model.metadata_props[:]
    with pytest.raises(errors.ManifestError, match=r"^<[\d,]+ bytes>: an ONNX file without aiface's manifest"):
        Classifier(model.SerializeToString(), device="cpu")


def test_a_hash_is_held_to() -> None:
    right = hashlib.sha256(BUNDLED).hexdigest()
    assert Classifier(BUNDLED, device="cpu", sha256=right.upper()).sha256 == right
    with pytest.raises(errors.ModelCorruptError, match=rf"^<{len(BUNDLED):,} bytes>: its SHA-256 is {right}, not 0000"):
        Classifier(BUNDLED, device="cpu", sha256="0" * 64)
    with pytest.raises(errors.UsageError, match="64 hexadecimal digits"):
        Classifier(BUNDLED, sha256="0")

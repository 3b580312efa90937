"""A model file is read once, and what is wrong with it is one line."""

from __future__ import annotations

import json
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from aiface_runtime import Classifier, errors
from aiface_runtime.catalog import load, resolve
from tests.support.colour_model import MANIFEST, colour_model
from tests.support.red_model import red_model

RED = np.full((64, 64, 3), (250, 20, 20), np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return red_model(tmp_path / "red.onnx")


def other_weights(file: Path) -> Path:
    """Replace a file by one of the same name whose answers are others."""
    model = onnx.load(file)
    del model.graph.initializer[0]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((3, 2), np.float32), "weights"))
    onnx.save(model, file)
    return file


@pytest.mark.parametrize("change", [other_weights, Path.unlink, Path.touch, lambda file: file.write_bytes(b"")])
def test_what_becomes_of_the_file_later_changes_nothing(change: Any, file: Path) -> None:
    with Classifier(file, device="cpu", threads=2) as classifier:
        expected = classifier.predict(RED).p_ai
        change(file)
        answers = list(classifier.predict_many([RED] * 4, on_error="raise"))  # opens the model once more
        assert [answer.p_ai for answer in answers] == pytest.approx([expected] * 4, abs=1e-6)
        assert classifier.explain(RED).prediction.p_ai == pytest.approx(expected, abs=1e-6)


def test_a_relative_path_stays_the_same_file(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    classifier = Classifier("red.onnx", device="cpu", threads=2)
    expected = classifier.predict(RED).p_ai
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    other_weights(red_model(Path("red.onnx")))
    assert [answer.p_ai for answer in classifier.predict_many([RED] * 2, on_error="raise")] == [expected] * 2
    assert pickle.loads(pickle.dumps(classifier)).predict(RED).p_ai == expected


def test_other_weights_are_not_unpickled(file: Path) -> None:
    data = pickle.dumps(Classifier(file, device="cpu"))
    other_weights(file)
    with pytest.raises(errors.ModelCorruptError, match="its SHA-256 is "):
        pickle.loads(data)


def test_the_hash_that_is_asked_for(file: Path) -> None:
    sha256 = load(file).sha256
    for same in (sha256, sha256.upper()):
        assert Classifier(file, device="cpu", sha256=same).predict(RED).model == "red@1"
    with pytest.raises(errors.ModelCorruptError, match=f"red.onnx: its SHA-256 is {sha256}, not {'0' * 64}"):
        Classifier(file, device="cpu", sha256="0" * 64)
    bundled = load(None).sha256
    assert Classifier(device="cpu", sha256=bundled).manifest.name == "aiface-lite0"
    with pytest.raises(errors.ModelCorruptError, match=f"its SHA-256 is {bundled}, not {sha256}"):
        Classifier(device="cpu", sha256=sha256)
    for wrong in ("", "abc", "g" * 64, 5, b"0" * 64):
        with pytest.raises(errors.UsageError, match=r"^sha256 .*: 64 hexadecimal digits$"):
            Classifier(file, device="cpu", sha256=wrong)  # type: ignore[arg-type]


def test_a_file_that_no_model_can_be(tmp_path: Path) -> None:
    huge = tmp_path / "huge.onnx"
    with huge.open("wb") as stream:
        stream.truncate(20 * 2**30)  # sparse
    with pytest.raises(errors.ModelCorruptError, match="at most 2 GiB"):
        Classifier(huge)
    for path in ("/dev/zero", tmp_path):
        with pytest.raises(errors.ModelNotFoundError):
            Classifier(path)
    for model in (5, ["model.onnx"], object()):
        with pytest.raises(errors.UsageError, match=r"^model .*: "):
            Classifier(model)  # type: ignore[arg-type]


def with_metadata(file: Path, *entries: tuple[bytes, bytes]) -> Path:
    """Replace a file's metadata by entries of any bytes, which the `onnx` package would not write."""

    def part(tag: int, data: bytes) -> bytes:
        size, length = len(data), bytearray()
        while size >= 0x80:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        return bytes([tag]) + bytes([*length, size]) + data

    model = onnx.load(file)
    del model.metadata_props[:]
    metadata = [part(0x72, part(0x0A, key) + part(0x12, value)) for key, value in entries]
    file.write_bytes(model.SerializeToString() + b"".join(metadata))
    return file


TEXT = json.dumps(MANIFEST).encode()
MANIFESTS: dict[str, list[tuple[bytes, bytes]]] = {
    "none": [(b"other", TEXT)],
    "two": [(b"aiface", TEXT), (b"aiface", TEXT)],
    "not UTF-8": [(b"aiface", b'{"name": "\xff"}')],
    "60 MB": [(b"aiface", b"[" + b"1," * 30_000_000 + b"1]")],
    "60 MB in deep nesting": [(b"aiface", b"[" * 60_000_000)],
    "too deep for a parser": [(b"aiface", b"[" * 100_000)],
    "deep": [(b"aiface", TEXT[:-1] + b', "training": ' + b"[" * 500 + b"]" * 500 + b"}")],
    "a list": [(b"aiface", b"[]")],
    "NaN": [(b"aiface", TEXT[:-1] + b', "evaluation": NaN}')],
    "half a character": [(b"aiface", TEXT[:-1] + b', "limits": "\\ud800"}')],
    "a key twice": [(b"aiface", TEXT[:-1] + b', "name": "other"}')],
    "a number of 5,000 digits": [(b"aiface", TEXT[:-1] + b', "schema2": ' + b"9" * 5000 + b"}")],
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_manifest_of_another_kind_is_one_line(kind: str, tmp_path: Path) -> None:
    file = with_metadata(colour_model(tmp_path / "model.onnx"), *MANIFESTS[kind])
    with pytest.raises(errors.ModelError, match=r"^\S+model\.onnx: ") as caught:
        Classifier(file, device="cpu")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_manifest_that_is_only_long_is_read(tmp_path: Path) -> None:
    text = TEXT[:-1] + b', "training": {"location": "' + b"a" * 2**20 + '", "note": "\\ud83d\\ude00 é"}}'.encode()
    assert Classifier(with_metadata(colour_model(tmp_path / "model.onnx"), (b"aiface", text)), device="cpu")


def external(name: str, where: Path) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3, 2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=str(where))
    return tensor


def constants_elsewhere(model: onnx.ModelProto, where: Path) -> None:
    del model.graph.initializer[0]
    model.graph.initializer.append(external("weights", where))


def attributes_elsewhere(model: onnx.ModelProto, where: Path) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=external("", where)))


def branches_elsewhere(model: onnx.ModelProto, where: Path) -> None:
    inner = helper.make_graph([], "inner", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 2])])
    inner.initializer.append(external("w", where))
    model.graph.node.append(helper.make_node("If", ["yes"], ["unused"], then_branch=inner, else_branch=inner))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))


@pytest.mark.parametrize("put", [constants_elsewhere, attributes_elsewhere, branches_elsewhere])
@pytest.mark.parametrize("where", ["weights.bin", "../secret.bin", "sub/../weights.bin"])
def test_numbers_in_other_files_are_refused(
    put: Any, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    (folder / "sub").mkdir(parents=True)
    for secret in (tmp_path / "secret.bin", folder / "weights.bin"):
        secret.write_bytes(np.zeros((3, 2), np.float32).tobytes())
    monkeypatch.chdir(folder)
    file = colour_model(folder / "model.onnx")
    model = onnx.load(file)
    put(model, Path(where))
    file.write_bytes(model.SerializeToString())
    with pytest.raises(errors.ModelCorruptError, match="keeps weights in other files"):
        Classifier(file, device="cpu")


def damaged(data: bytes) -> Iterator[bytes]:
    rng = random.Random(0)
    yield from (data[: rng.randrange(len(data))] for _ in range(60))
    for _ in range(240):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 8))):
            changed[rng.randrange(len(data))] = rng.randrange(256)
        yield bytes(changed)


def test_a_damaged_file_is_a_model_error_or_answers_as_before(file: Path, tmp_path: Path) -> None:
    from aiface_export.rewrite import rewrite

    rewrite(file)
    expected, refusals = Classifier(file, device="cpu").predict(RED).p_ai, list[str]()
    for data in damaged(file.read_bytes()):
        (tmp_path / "damaged.onnx").write_bytes(data)
        try:
            answer = Classifier(tmp_path / "damaged.onnx", device="cpu", threads=1).predict(RED)
        except errors.ModelError as error:
            refusals.append(str(error))
        else:  # what changed is a part of the manifest that nothing reads
            assert answer.p_ai == expected
    assert len(refusals) > 200
    assert not any("\n" in refusal for refusal in refusals)


LOGGING = """
import sys
import onnxruntime
onnxruntime.set_default_logger_severity(1)
from aiface_runtime import Classifier
from aiface_runtime.catalog import load
Classifier(device="cpu")
print("the host's own:", file=sys.stderr, flush=True)
onnxruntime.InferenceSession(load(None).data, providers=["CPUExecutionProvider"])
"""
STRICT = """
import numpy as np
from aiface_runtime import Classifier
for options in ({"device": "cpu"}, {"providers": ["CPUExecutionProvider", "NoSuchProvider"]}):
    with Classifier(**options) as classifier:
        classifier.explain(np.zeros((9, 9, 3), np.uint8))
        print([answer.verdict for answer in classifier.predict_many([np.zeros((9, 9, 3), np.uint8)] * 3)])
"""


def test_the_log_of_the_host_is_left_alone() -> None:
    done = subprocess.run([sys.executable, "-P", "-c", LOGGING], capture_output=True, text=True, check=True)
    assert "I:onnxruntime" in done.stderr.partition("the host's own:")[2]


def test_the_library_warns_of_nothing() -> None:
    command = [sys.executable, "-P", "-W", "error", "-c", STRICT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_provider_that_is_not_there_is_one_line() -> None:
    with pytest.raises(errors.DeviceUnavailableError, match="this onnxruntime has no NoSuchProvider"):
        Classifier(providers=["NoSuchProvider", "CPUExecutionProvider"])


def test_a_bundled_name_is_not_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    red_model(Path("red.onnx"))
    shutil.copy("red.onnx", "aiface-lite0")
    assert Classifier("aiface-lite0", device="cpu").manifest.name == resolve(None).stem

"""The programs in other languages read a model file alone, and answer as the library does, on the same pixels."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import PIL
import pytest
from PIL import Image, ImageOps

from aiface_runtime import Classifier
from aiface_runtime.catalog import resolve
from tests.support import SHARED, paint
from tests.support.documents import ROOT

FOLDER = Path(os.environ.get("AIFACE_TEST_LANGUAGES", ROOT / ".venv/languages"))  # by scripts/install_languages.sh
HEADERS, NODE_MODULES = FOLDER / "headers", FOLDER / "node_modules"
LIBRARIES = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.1*"))
pytestmark = pytest.mark.skipif(
    int(PIL.__version__.partition(".")[0]) < 13, reason="Pillow before 13 begins another way with tall photos"
)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def cpp(tmp_path_factory: pytest.TempPathFactory) -> Run:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler is installed")
    if not (HEADERS / "onnxruntime_cxx_api.h").is_file() or not LIBRARIES:
        pytest.skip(
            "onnxruntime's C++ headers or its library are not here; scripts/install_languages.sh gets the former"
        )
    folder: Path = tmp_path_factory.mktemp("cpp")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(LIBRARIES[0])
    command = [compiler, "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off"]
    command += [str(ROOT / "examples/cpp/aiface.cpp"), "-isystem", str(HEADERS), f"-L{folder}", "-lonnxruntime"]
    subprocess.run([*command, f"-Wl,-rpath,{folder}", "-o", str(folder / "aiface")], check=True)
    return lambda *arguments: program([str(folder / "aiface"), *map(str, arguments)])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Run:
    if shutil.which("node") is None or not (NODE_MODULES / "onnxruntime-node").is_dir():
        pytest.skip("node or onnxruntime-node is not installed; scripts/install_languages.sh gets the latter")
    folder: Path = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(NODE_MODULES)
    shutil.copy(ROOT / "examples/node/aiface.mjs", folder)
    return lambda *arguments: program(["node", str(folder / "aiface.mjs"), *map(str, arguments)])


def program(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(params=["cpp", "node"])
def run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.getfixturevalue(request.param)
    return found


def photos() -> list[Image.Image]:
    """Painted pictures of many shapes, and real photos where they are."""
    sizes = ((224, 224), (30, 50), (333, 251), (225, 700))
    rng = np.random.default_rng(4)
    painted = [paint(rng, width, height, ai=width > 224) for width, height in sizes]
    real = sorted((SHARED / "data/test").glob("*/*.jpg"))
    chosen = real[:: max(1, len(real) // 4)]
    return [*painted, *(ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in chosen)]


def with_manifest(file: Path, **changes: Any) -> Path:
    """Write the bundled model with another manifest."""
    model = onnx.load(resolve(None))
    (entry,) = (entry for entry in model.metadata_props if entry.key == "aiface")
    manifest = json.loads(entry.value)
    manifest["input"] |= {"scaled_decoding": None} | changes.pop("input", {})
    entry.value = json.dumps(manifest | changes)
    file.write_bytes(model.SerializeToString())
    return file


def held_to_the_library(run: Run, model: Path, pictures: list[Image.Image], folder: Path, point: str) -> set[str]:
    """Compare the answers for pictures, and return the verdicts that there were."""
    verdicts = set()
    with Classifier(model, device="cpu", operating_point=point) as classifier:
        for index, picture in enumerate(pictures):
            photo = folder / f"{index}.ppm"
            picture.save(photo)
            done = run(model, photo, point)
            assert done.returncode == 0, done.stderr
            answer, expected = json.loads(done.stdout), classifier.predict(np.asarray(picture))
            assert answer["p_ai"] == pytest.approx(expected.p_ai, abs=1e-5)
            assert answer["face_probability"] == pytest.approx(expected.face_probability, abs=1e-5)
            assert answer["verdict"] == expected.verdict
            assert 0 <= answer["self_test"] <= 1e-3
            verdicts.add(answer["verdict"])
    return verdicts


def test_the_answers_are_those_of_the_library(run: Run, tmp_path: Path) -> None:
    verdicts = held_to_the_library(run, resolve(None), photos(), tmp_path, "balanced")
    assert "uncertain" in verdicts  # the painted pictures have no face


@pytest.mark.parametrize(
    "steps",
    [
        [{"op": "resize", "height": 224, "width": 224, "filter": "lanczos"}],
        [
            {"op": "resize_shorter", "size": 231, "filter": "hamming"},
            {"op": "center_crop", "height": 224, "width": 224},
        ],
        [
            {"op": "resize", "height": 257, "width": 299, "filter": "bilinear"},
            {"op": "center_crop_to_even", "height": 224, "width": 224},
        ],
        [
            {"op": "resize", "height": 320, "width": 301, "filter": "bicubic"},
            {"op": "resize", "height": 224, "width": 224, "filter": "box"},
        ],
    ],
    ids=["lanczos", "hamming, odd rest", "bilinear, to even", "bicubic, box"],
)
def test_other_steps_of_preprocessing(steps: list[dict[str, object]], run: Run, tmp_path: Path) -> None:
    model = with_manifest(tmp_path / "other.onnx", input={"steps": steps})
    held_to_the_library(run, model, photos()[1:4], tmp_path, "low_false_alarm")


def test_what_is_wrong_is_said_and_not_answered(run: Run, tmp_path: Path) -> None:
    photo, model = tmp_path / "a.ppm", resolve(None)
    photos()[0].save(photo)
    answers = Classifier(device="cpu").manifest.document["self_test"]["probabilities"]
    test = Classifier(device="cpu").manifest.document["self_test"] | {"probabilities": answers[::-1]}
    cut = tmp_path / "cut.ppm"
    cut.write_bytes(photo.read_bytes()[:-1])
    for arguments, says in [
        ((with_manifest(tmp_path / "wrong.onnx", self_test=test), photo), "the self-test fails"),
        ((with_manifest(tmp_path / "none.onnx", self_test=None), photo), "carries no self-test"),
        ((with_manifest(tmp_path / "new.onnx", schema=2), photo), "another schema"),
        ((model, cut), "cut off"),
        ((model, model), "not a binary PPM"),
        ((model, photo, "strict"), "no operating point strict"),
        ((tmp_path / "absent.onnx", photo), "absent.onnx"),
    ]:
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (1, ""), says
        assert done.stderr.startswith("aiface: ")
        assert says in done.stderr

"""Models that another installed distribution brings: a wheel of the bundled model's bytes, found by its entry point."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from aiface_export.errors import ExportError
from aiface_export.large.wheel import build_wheel
from aiface_runtime import errors
from aiface_runtime.catalog import entries, installed, resolve

SINCE = "1700000000"  # SOURCE_DATE_EPOCH
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", SINCE)
        return build_wheel(resolve(None), tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def site(wheel: Path, tmp_path: Path) -> Path:
    """A folder in which the wheel is installed."""
    folder = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(folder), str(wheel)], check=True, capture_output=True)
    return folder


def aiface(*arguments: str | Path, site: Path | None = None) -> Done:
    path = os.pathsep.join([*([str(site)] if site else []), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-P", "-m", "aiface_runtime", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_wheel_holds_the_model_its_card_and_licence(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wheel.name == "aiface_large-4-py3-none-any.whl", "the version of the model's manifest"
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held["aiface_large/aiface-large.onnx"] == resolve(None).read_bytes()
    assert held["aiface_large/aiface-large.md"].decode().startswith("# aiface-lite0 4")
    assert b"Apache License" in held["aiface_large-4.dist-info/licenses/LICENSE"]
    metadata = held["aiface_large-4.dist-info/METADATA"].decode()
    assert "Name: aiface-large\n" in metadata
    assert "Requires-Dist: aiface>=" in metadata
    monkeypatch.setenv("SOURCE_DATE_EPOCH", SINCE)
    before = wheel.read_bytes()
    assert build_wheel(resolve(None), wheel.parent) == wheel
    assert wheel.read_bytes() == before


def test_the_model_is_found_by_name(site: Path, portrait: Path) -> None:
    done = aiface("predict", "--model", "large", "--format", "jsonl", portrait, site=site)
    assert done.returncode == 0, done.stderr
    expected = aiface("predict", "--format", "jsonl", portrait)
    assert json.loads(done.stdout)["p_ai"] == json.loads(expected.stdout)["p_ai"]
    bundled, large = aiface("models", "list", site=site).stdout.splitlines()
    assert bundled.endswith("(default)")
    assert large.startswith("large  7.1 MB  sha256 ")
    assert large.endswith("(of aiface-large)")
    assert [line.split(":")[0] for line in aiface("models", "verify", site=site).stdout.splitlines()] == [
        *(entry.name for entry in entries()),
        "large",
    ]
    models = json.loads(aiface("doctor", "--format", "json", site=site).stdout)["models"]
    assert models["large"] == str(site / "aiface_large" / "aiface-large.onnx")


def test_its_module_is_not_run(site: Path, portrait: Path) -> None:
    (site / "aiface_large" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    assert aiface("predict", "--model", "large", portrait, site=site).returncode == 0


@pytest.mark.parametrize("damage", ["bytes", "file", "index", "name", "folder"])
def test_a_broken_distribution_gives_one_line(damage: str, site: Path, portrait: Path) -> None:
    package = site / "aiface_large"
    if damage == "bytes":
        data = bytearray((package / "aiface-large.onnx").read_bytes())
        data[len(data) // 2] ^= 1
        (package / "aiface-large.onnx").write_bytes(data)
    elif damage == "file":
        (package / "aiface-large.onnx").unlink()
    elif damage == "index":
        (package / "index.json").write_text("{")
    elif damage == "name":
        (package / "index.json").write_text(json.dumps({"models": {"other": {}}}))
    else:
        shutil.rmtree(package)
    done = aiface("predict", "--model", "large", portrait, site=site)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"aiface: {package}")
    assert line.endswith("reinstall aiface-large")
    listed = aiface("models", "list", site=site)
    assert entries()[0].name in listed.stdout, "the others remain"
    assert listed.returncode == (0 if damage in ("bytes", "file") else 3), "which only verify reads"


def test_verify_and_doctor_tell_of_changed_bytes(site: Path) -> None:
    with (site / "aiface_large" / "aiface-large.onnx").open("ab") as file:
        file.write(b"more")
    assert aiface("models", "verify", site=site).returncode == 3
    models = json.loads(aiface("doctor", "--format", "json", site=site).stdout)["models"]
    assert models["large"].startswith("no: ")
    assert models["large"].endswith("reinstall aiface-large")
    assert models[entries()[0].name].endswith(".onnx"), "the bundled one is fine"


def test_without_the_wheel_it_is_said_how_to_get_it() -> None:
    assert "large" not in installed(), "the environment of the tests has not installed it"
    with pytest.raises(errors.ModelNotFoundError, match=r"^large: neither a model file nor an installed model .*wheel"):
        resolve("large")
    with pytest.raises(errors.ModelNotFoundError, match=r"installed model \([\w, -]+\)$"):
        resolve("small")


def test_the_bundled_model_needs_no_metadata() -> None:
    code = (
        "import sys; from aiface_runtime.catalog import resolve\n"
        "resolve(None); resolve('aiface-lite0'); print('importlib.metadata' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_what_is_no_model_makes_no_wheel(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"absent\.onnx: no such file"):
        build_wheel(tmp_path / "absent.onnx", tmp_path / "out")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(ExportError, match=r"text\.onnx"):
        build_wheel(tmp_path / "text.onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()

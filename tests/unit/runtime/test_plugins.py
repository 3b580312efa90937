"""Plug-ins of onnxruntime: found by their packages, and what is wrong with one is said.

WebGPU runs here without a GPU, on the software renderer that Chromium ships with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

from aiface_runtime import Classifier
from tests.support.red_model import red_model, spotted

WEBGPU = "WebGpuExecutionProvider"
CHROMIUM = Path("/usr/lib/chromium")  # of Debian
RENDERER = CHROMIUM / "vk_swiftshader_icd.json"
LOADER = CHROMIUM / "libvulkan.so.1"


def module(folder: Path, name: str, source: str) -> dict[str, str]:
    """Install a package, and return the environment in which it is found."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


def aiface(*arguments: str | Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "aiface_runtime", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def test_a_plugin_that_cannot_be_loaded_is_named_with_the_reason(tmp_path: Path, portrait: Path) -> None:
    library = tmp_path / "libnone.so"
    library.write_bytes(b"no library")
    source = f"def get_ep_names(): return ['{WEBGPU}', 'Other']\ndef get_library_path(): return {str(library)!r}\n"
    environment = module(tmp_path, "onnxruntime_ep_aaa", source)
    module(tmp_path, "onnxruntime_ep_broken", "raise RuntimeError('half installed')\n")
    done = aiface("predict", portrait, "--device", "webgpu", environment=environment)
    assert (done.returncode, done.stdout) == (3, "")
    assert "device 'webgpu' cannot be had: the library of onnxruntime_ep_aaa cannot be loaded" in done.stderr

    report = json.loads(aiface("doctor", "--format", "json", environment=environment).stdout)
    plugins, devices = report["onnxruntime"]["plug-ins"], report["devices"]
    assert f"onnxruntime_ep_aaa ({WEBGPU}, Other)" in plugins
    assert "onnxruntime_ep_broken cannot be used (RuntimeError: half installed)" in plugins
    assert devices["cpu"].startswith("answers")
    assert devices["webgpu"].startswith("no: the library of onnxruntime_ep_aaa cannot be loaded")
    assert devices["Other"].startswith("no: the library of onnxruntime_ep_aaa cannot be loaded")


def test_what_is_not_installed_is_said_with_the_remedy() -> None:
    code = (
        "import sys; sys.modules['onnxruntime_ep_webgpu'] = None\n"
        "from aiface_runtime import Classifier\nClassifier(device='webgpu')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"this onnxruntime has no {WEBGPU}, and no plug-in brings it: pip install onnxruntime-ep-webgpu" in (
        done.stderr
    )


def test_no_plugin_is_looked_for_unless_it_is_asked_for(portrait: Path, tmp_path: Path) -> None:
    environment = module(tmp_path, "onnxruntime_ep_aaa", "raise SystemExit('was imported')\n")
    done = aiface("predict", portrait, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")


webgpu = pytest.mark.skipif(
    find_spec("onnxruntime_ep_webgpu") is None or not RENDERER.is_file() or not LOADER.is_file(),
    reason="needs onnxruntime-ep-webgpu, and the software renderer of Debian's Chromium",
)


@pytest.fixture
def rendered(tmp_path: Path) -> dict[str, str]:
    """The environment in which Vulkan, and so WebGPU, runs on the processor."""
    (tmp_path / "vulkan").mkdir()
    (tmp_path / "vulkan" / LOADER.name).symlink_to(LOADER)
    return {
        "LD_LIBRARY_PATH": str(tmp_path / "vulkan"),
        "VK_ICD_FILENAMES": str(RENDERER),
        "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1",
    }


@webgpu
def test_webgpu_gives_the_answers_of_the_cpu(tmp_path: Path, rendered: dict[str, str]) -> None:
    model, photo = red_model(tmp_path / "red.onnx"), tmp_path / "spot.png"
    spotted(200, 160, (90, 80), 40).save(photo)
    done = aiface("predict", photo, "--model", model, "--device", "webgpu", "--format", "json", environment=rendered)
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)
    assert record["device"] == "webgpu"
    with Classifier(model, device="cpu") as classifier:
        assert record["p_ai"] == pytest.approx(classifier.predict(photo).p_ai, abs=1e-5)


@webgpu
def test_a_plugin_that_takes_nothing_of_the_graph_is_not_the_device(tmp_path: Path, rendered: dict[str, str]) -> None:
    model, photo = in_double_precision(red_model(tmp_path / "red.onnx")), tmp_path / "spot.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(photo)
    assert Classifier(model, device="cpu").predict(photo).scores
    done = aiface("predict", photo, "--model", model, "--device", "webgpu", environment=rendered)
    assert done.returncode == 3
    assert "device 'webgpu' cannot be had: it takes no operation of this model's graph" in done.stderr


def in_double_precision(file: Path) -> Path:
    """Replace a model's graph by one in float64, which no GPU's shader language has."""
    model = onnx.load(file)
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=TensorProto.DOUBLE),
        helper.make_node("ReduceMean", ["levels", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["shares"]),
        helper.make_node("Cast", ["shares"], ["probabilities"], to=TensorProto.FLOAT),
    ]
    constants = {"axes": np.array([1, 2]), "weights": np.array([[0.01, 0.0], [0.0, 0.0], [0.0, 0.01]])}
    graph = helper.make_graph(
        nodes,
        "double",
        list(model.graph.input),
        [value for value in model.graph.output if value.name == "probabilities"],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    manifest = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "aiface"))
    new = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=10)
    helper.set_model_props(new, {"aiface": json.dumps(manifest | {"evidence": None})})
    onnx.save(new, file)
    return file


@pytest.mark.parametrize("name", onnxruntime.get_available_providers())
def test_what_onnxruntime_was_built_with_is_no_plugin(name: str) -> None:
    from aiface_runtime.plugins import is_plugin

    assert not is_plugin(onnxruntime, name)

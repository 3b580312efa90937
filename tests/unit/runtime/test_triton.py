"""A repository for Triton: its configuration by Triton's own message, and its batches by the file's self-test."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml
from google.protobuf import text_format

from aiface_runtime.catalog import load, resolve
from aiface_runtime.outputs import check_self_test
from tests.support.command import aiface
from tests.support.red_model import FACES, red_model

MANIFEST = load(None).manifest()


def parsed(config: Path) -> Any:
    """Parse a configuration as Triton does: by its message, which refuses unknown fields and values."""
    package = importlib.util.find_spec("tritonclient")
    if package is None or not package.submodule_search_locations:
        pytest.skip("tritonclient is not installed")
    # Not by tritonclient.grpc, which needs grpcio: the message needs protobuf alone.
    file = Path(package.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return text_format.Parse(config.read_text(), module.ModelConfig()), module


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("triton") / "models"
    done = aiface("models", "triton", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert [Path(line).is_file() for line in done.stdout.splitlines()] == [True, True, True]
    return folder


def test_the_configuration_says_what_the_graph_says(repository: Path) -> None:
    folder = repository / MANIFEST.name
    config, module = parsed(folder / "config.pbtxt")
    assert config.name == folder.name
    assert (config.backend, config.default_model_filename) == ("onnxruntime", "model.onnx")
    assert config.max_batch_size == 16
    assert config.HasField("dynamic_batching")
    assert config.dynamic_batching.max_queue_delay_microseconds == 2000
    (group,) = config.instance_group
    assert (group.count, group.kind) == (1, module.ModelInstanceGroup.KIND_AUTO)

    session = onnxruntime.InferenceSession(folder / "1" / config.default_model_filename)
    kinds = {"tensor(uint8)": module.TYPE_UINT8, "tensor(float)": module.TYPE_FP32}
    for own, graph in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
        assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in own] == [
            (value.name, kinds[value.type], value.shape[1:]) for value in graph
        ]
    assert list(config.input[0].dims) == [MANIFEST.height, MANIFEST.width, 3]
    labelled = {tensor.name: tensor.label_filename for tensor in config.output if tensor.label_filename}
    assert (folder / labelled["probabilities"]).read_text().split() == list(MANIFEST.labels)
    assert list(labelled) == ["probabilities"]


def test_the_model_is_the_published_file(repository: Path) -> None:
    assert (repository / MANIFEST.name / "1" / "model.onnx").read_bytes() == resolve(None).read_bytes()


def test_rows_of_several_requests_get_the_answers_that_each_gets_alone(repository: Path) -> None:
    """Triton puts requests of any numbers of rows behind one another, and hands each its rows of the outputs."""
    session = onnxruntime.InferenceSession(repository / MANIFEST.name / "1" / "model.onnx")
    names = [value.name for value in session.get_outputs()]

    def run(batch: Any) -> dict[str, Any]:
        return dict(zip(names, session.run(names, {"image": batch}), strict=True))

    photos = MANIFEST.self_test.photos(MANIFEST.height, MANIFEST.width)
    check_self_test(MANIFEST.self_test, photos, run)
    alone = [run(photos[index : index + 1]) for index in range(len(photos))]
    rows = list(itertools.islice(itertools.cycle(range(len(photos))), 16))
    for sizes in ([16], [1] * 16, [3, 1, 5, 7]):
        requests = np.split(photos[rows], np.cumsum(sizes)[:-1])
        answers = run(np.concatenate(requests))
        for row, index in enumerate(rows):
            for name in names:
                assert answers[name][row] == pytest.approx(alone[index][name][0], abs=1e-4), (name, sizes, row)
        rows.reverse()


def test_another_model_and_what_is_asked_for(tmp_path: Path) -> None:
    model = red_model(tmp_path / "red.onnx", faces=FACES, returns_faces=True)
    options = ("--name", "faces-2", "--max-batch", "64", "--queue-delay", "0", "--instances", "3", "--kind", "gpu")
    done = aiface("models", "triton", tmp_path / "models", "--model", model, *options)
    assert done.returncode == 0, done.stderr
    config, module = parsed(tmp_path / "models" / "faces-2" / "config.pbtxt")
    assert (config.max_batch_size, config.dynamic_batching.max_queue_delay_microseconds) == (64, 0)
    assert config.instance_group[0].count == 3
    assert config.instance_group[0].kind == module.ModelInstanceGroup.KIND_GPU
    assert {tensor.name: list(tensor.dims) for tensor in config.output} == {
        "probabilities": [2],
        "evidence": [4, 4],
        "faces": [4, 4],
    }


def test_a_second_time_changes_nothing_and_another_file_is_not_overwritten(repository: Path, tmp_path: Path) -> None:
    assert aiface("models", "triton", repository).returncode == 0
    other = red_model(tmp_path / "red.onnx")
    done = aiface("models", "triton", repository, "--model", other, "--name", MANIFEST.name)
    assert (done.returncode, done.stdout) == (4, "")
    assert "model.onnx: is there already, and another; remove" in done.stderr
    assert (repository / MANIFEST.name / "1" / "model.onnx").read_bytes() == resolve(None).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--name", "../up"), 2, "name '../up': letters, digits"),
        (("--max-batch", "0"), 2, "max_batch_size 0: a whole number from 1"),
        (("--instances", "-1"), 2, "instances -1: a whole number from 1"),
        (("--model", "none"), 3, "neither a model file"),
    ],
)
def test_what_makes_no_sense_writes_nothing(arguments: tuple[str, ...], code: int, says: str, tmp_path: Path) -> None:
    done = aiface("models", "triton", tmp_path / "models", *arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"")
    done = aiface("models", "triton", tmp_path / "models")
    assert done.returncode == 4
    assert "choose another DIR" in done.stderr


def test_the_manifest_for_kserve_names_the_same_file() -> None:
    done = aiface("models", "kserve", "s3://bucket/my models".replace(" ", "-"), "--name", "Faces_2.A", "--kind", "gpu")
    assert (done.returncode, done.stderr) == (0, "")
    service = yaml.safe_load(done.stdout)
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert service["metadata"]["name"] == "faces-2-a"
    model = service["spec"]["predictor"]["model"]
    assert model["storageUri"] == "s3://bucket/my-models"
    assert (model["modelFormat"], model["runtime"]) == ({"name": "triton"}, "kserve-tritonserver")
    assert model["protocolVersion"] == "v2"
    assert model["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert load(None).sha256 in done.stdout


@pytest.mark.parametrize("uri", ["models", "s3://", "s3://a b", "s3://a\nkind: Secret"])
def test_what_is_no_address_of_storage(uri: str) -> None:
    done = aiface("models", "kserve", uri)
    assert (done.returncode, done.stdout) == (2, "")
    assert "an address of storage" in done.stderr


def test_the_other_actions_are_as_they_were() -> None:
    assert MANIFEST.name in aiface("models", "list").stdout
    assert json.loads(aiface("models", "show").stdout)["name"] == MANIFEST.name

"""A model repository for NVIDIA's Triton Inference Server, and the manifest by which KServe runs it.

The configuration is Triton's `ModelConfig` as text
(https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto); the names, types and sizes in
it are those that the open graph states. Triton puts the rows of several requests behind one another along the first
axis. The self-test by which a file is opened holds each row's answer to the one stored, alone and in such a batch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from .engine import Engine
from .errors import OutputError, UsageError
from .files import atomic_write
from .manifest import PROBABILITIES
from .sessions import Tensor

Kind: TypeAlias = Literal["auto", "cpu", "gpu"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_TYPES = {"tensor(uint8)": "TYPE_UINT8", "tensor(float)": "TYPE_FP32"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # of a folder, and a part of an address


@dataclass(frozen=True, slots=True)
class Serving:
    """How Triton runs the model.

    Attributes:
        name: Name of the model in the repository, which clients ask for.
        max_batch_size: Most photos in one run, of any number of requests.
        queue_delay: Time that a request may wait for others, in microseconds.
        instances: Number of copies of the model that run at once, on each device.
        kind: Device of the copies; `auto` is a GPU where Triton has one.
    """

    name: str
    max_batch_size: int = 16
    queue_delay: int = 2000
    instances: int = 1
    kind: Kind = "auto"

    def __post_init__(self) -> None:
        """Refuse what Triton would.

        Raises:
            UsageError: A name that is no folder's, a number that is too small, or another kind.
        """
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"name {self.name!r}: letters, digits, '.', '-' and '_', at most 128; pass --name")
        for field, least in (("max_batch_size", 1), ("queue_delay", 0), ("instances", 1)):
            value = getattr(self, field)
            if type(value) is not int or not least <= value <= 2**31 - 1:
                raise UsageError(f"{field} {value!r}: a whole number from {least} to {2**31 - 1:,}")
        if self.kind not in KINDS:
            raise UsageError(f"kind {self.kind!r}: one of {', '.join(KINDS)}")


def config_text(engine: Engine, serving: Serving) -> str:
    """Write `config.pbtxt` for an open model."""
    outputs = [tensor for tensor in engine.outputs if tensor.name in engine.manifest.output_shapes]
    return "\n".join(
        [
            f"# {json.dumps(engine.manifest.id)}, SHA-256 of the file: {engine.model.sha256}",
            f"name: {json.dumps(serving.name)}",
            'backend: "onnxruntime"',
            'default_model_filename: "model.onnx"',
            f"max_batch_size: {serving.max_batch_size}",
            _messages("input", map(_fields, engine.inputs)),
            _messages("output", map(_fields, outputs)),
            f"dynamic_batching {{\n  max_queue_delay_microseconds: {serving.queue_delay}\n}}",
            _messages("instance_group", [[f"count: {serving.instances}", f"kind: KIND_{serving.kind.upper()}"]]),
            "",
        ]
    )


def _messages(field: str, messages: Iterable[list[str]]) -> str:
    texts = ("  {\n" + "".join(f"    {line}\n" for line in lines) + "  }" for lines in messages)
    return f"{field} [\n" + ",\n".join(texts) + "\n]"


def _fields(tensor: Tensor) -> list[str]:
    """Describe an input or output; `max_batch_size` stands for the first axis."""
    labels = ['label_filename: "labels.txt"'] if tensor.name == PROBABILITIES else []
    dims = ", ".join(map(str, tensor.shape))
    return [f"name: {json.dumps(tensor.name)}", f"data_type: {_TYPES[tensor.type]}", f"dims: [ {dims} ]", *labels]


def write_repository(folder: Path, engine: Engine, serving: Serving) -> list[Path]:
    """Write the model into a repository, beside the models that it has: `NAME/config.pbtxt` and `NAME/1/model.onnx`.

    The labels, one a line, are in `NAME/labels.txt`, by which Triton's classification extension names its answers.

    Returns:
        The files, the configuration last: what a server that polls the folder finds is whole.

    Raises:
        OutputError: A file cannot be written, or is there already with other content.
    """
    files = {
        "1/model.onnx": engine.model.data,
        "labels.txt": "".join(f"{label}\n" for label in engine.manifest.labels).encode(),
        "config.pbtxt": config_text(engine, serving).encode(),
    }
    paths = [folder / serving.name / name for name in files]
    for path, data in zip(paths, files.values(), strict=True):
        _refuse_other(path, data)
    for path, data in zip(paths, files.values(), strict=True):
        _write(path, data)
    return paths


def _refuse_other(path: Path, data: bytes) -> None:
    try:
        if path.exists() and path.read_bytes() != data:
            raise OutputError(f"{path}: is there already, and another; remove {path.parent}, or pass another --name")
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as draft:
            draft.write_bytes(data)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another DIR") from error


def kserve_manifest(storage_uri: str, name: str, labels: Sequence[str], *, gpu: bool = False) -> str:
    """Write the InferenceService by which KServe runs a Triton repository.

    Args:
        storage_uri: Address of the repository, which is the folder that `write_repository` was given.
        name: Name of the model, of which the service's is made.
        labels: Lines that say what it is, put in front as comments.
        gpu: Whether it gets a GPU.

    Raises:
        UsageError: `storage_uri` is none.
    """
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*://\S+", storage_uri):
        raise UsageError(
            f"{storage_uri!r}: an address of storage, s3://bucket/models or pvc://claim/models for instance"
        )
    # What Kubernetes takes as the name of a service: it begins with a letter.
    service = re.sub(r"^(?![a-z])", "model-", re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"))[:63].rstrip("-")
    return "\n".join(
        [
            *(f"# {line}" for line in labels),
            "apiVersion: serving.kserve.io/v1beta1",
            "kind: InferenceService",
            "metadata:",
            f"  name: {json.dumps(service)}",
            "spec:",
            "  predictor:",
            "    model:",
            "      modelFormat:",
            "        name: triton",
            "      runtime: kserve-tritonserver",
            "      protocolVersion: v2",
            f"      storageUri: {json.dumps(storage_uri)}",
            "      resources:",
            '        requests: {cpu: "1", memory: 1Gi}',
            f'        limits: {{cpu: "2", memory: 2Gi{", nvidia.com/gpu: 1" if gpu else ""}}}',
            "",
        ]
    )

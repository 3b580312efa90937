"""A graph and its manifest as one `.onnx` file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from aiface_runtime import __version__
from aiface_runtime.manifest import KEY
from aiface_runtime.onnx_bytes import content_sha256

from .self_test import self_test

_WRITTEN_HERE = ("self_test", "graph_sha256")  # keys of the manifest


def write_model(graph: onnx.ModelProto, manifest: Mapping[str, Any], file: Path, producer: str) -> None:
    """Write a model file with its hash and its self-test, unless the runtime would refuse it.

    Args:
        graph: Graph from uint8 `image` to `probabilities`; stays as it is.
        manifest: Manifest that the runtime shall read; `graph_sha256` and `self_test` are made here.
        file: File to write; an existing one is overwritten.
        producer: Name of the command that writes it.

    Raises:
        ModelError: The runtime cannot use such a manifest or such a graph; nothing was written.
        OSError: The file cannot be written; a part of it may be there.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    document = {key: value for key, value in manifest.items() if key not in _WRITTEN_HERE}
    model.doc_string = f"{manifest['name']} {manifest['version']}: real or AI-generated face; see metadata '{KEY}'"
    model.producer_name, model.producer_version = producer, __version__
    onnx.checker.check_model(model, full_check=True)
    data = _with_manifest(model, document)
    tested = self_test(data, _precision(manifest), file.name)
    complete = document | {"graph_sha256": content_sha256(data), "self_test": tested}
    file.write_bytes(_with_manifest(model, complete))


def _with_manifest(model: onnx.ModelProto, document: Mapping[str, Any]) -> bytes:
    """Put a manifest into a model and return all bytes of the file."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {KEY: json.dumps(document, sort_keys=True)})
    data: bytes = model.SerializeToString()
    return data


def _precision(manifest: Mapping[str, Any]) -> str:
    """Return the precision that was chosen, `fp32` where none was yet."""
    precision = manifest.get("export", {}).get("precision") or {"chosen": "fp32"}
    return str(precision["chosen"])

"""A graph and its manifest as one `.onnx` file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from aiface_runtime import __version__
from aiface_runtime.manifest import KEY, parse_manifest


def write_model(graph: onnx.ModelProto, manifest: Mapping[str, Any], file: Path, producer: str) -> None:
    """Write a model file, unless the runtime would refuse it.

    Args:
        graph: Graph from uint8 `image` to `probabilities`; stays as it is.
        manifest: Manifest that the runtime shall read.
        file: File to write; an existing one is overwritten.
        producer: Name of the command that writes it.

    Raises:
        ManifestError: The runtime cannot read such a manifest; nothing was written.
        OSError: The file cannot be written; a part of it may be there.
    """
    parse_manifest(json.dumps(manifest), file.name)
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {KEY: json.dumps(manifest, sort_keys=True)})
    model.doc_string = f"{manifest['name']} {manifest['version']}: real or AI-generated face; see metadata '{KEY}'"
    model.producer_name, model.producer_version = producer, __version__
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)

"""A `.h5` or `.keras` file, loaded by Keras 3 whichever version wrote it, and never by running code out of it."""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..source import first_line
from .keras2 import operations, rewritten

_LFS = b"version https://git-lfs"
# Parts of Keras' messages, and what they mean for whoever has the file.
_REMEDIES = (
    (
        r"`Lambda` layer",
        "has a Lambda layer, whose Python code is never run here; save the network with Rescaling or the like instead",
    ),
    (
        r"No model config found",
        "holds weights without their network; load them into it and save both with model.save",
    ),
    (
        r"(?:Unknown layer: |Could not locate class )'?(?P<name>[\w>.]+)'?",
        "its layer {name} is none of Keras 3; save the network as .keras with layers of Keras in its stead",
    ),
)


def load(keras: Any, file: Path) -> Any:
    """Load a model to predict with.

    Raises:
        SourceError: It is not such a file, or cannot be loaded; the message has the cause.
    """
    _check(file)
    try:
        with tempfile.TemporaryDirectory() as folder:
            readable = rewritten(file, Path(folder))
            return keras.models.load_model(readable, custom_objects=operations(keras), compile=False)
    except ImportError:
        raise
    except Exception as error:
        raise SourceError(f"{file}: {reason(error)}") from error


def in_float32(model: Any) -> bool:
    """Let a model of lower or mixed precision compute in float32, with the weights that it has.

    Returns:
        Whether it did otherwise before.
    """
    reduced = [layer for layer in model._flatten_layers() if layer.compute_dtype != "float32"]  # noqa: SLF001
    for layer in reduced:
        layer.dtype_policy = "float32"
    return bool(reduced)


def _check(file: Path) -> None:
    if not file.is_file():
        raise SourceError(f"{file}: no such file")
    with file.open("rb") as stream:
        if stream.read(len(_LFS)) == _LFS:
            raise SourceError(f"{file}: is a Git LFS pointer, not the file itself; run git lfs pull")
    if file.suffix.lower() == ".keras" and not zipfile.is_zipfile(file):
        raise SourceError(f"{file}: is damaged, a .keras file is a zip archive")
    if zipfile.is_zipfile(file) and _version(file).startswith("2."):
        raise SourceError(f"{file}: Keras 3 cannot read the .keras of Keras 2; save it as .h5 with Keras 2")


def _version(file: Path) -> str:
    """Return the version of Keras that wrote a `.keras` file; empty where it does not say."""
    with zipfile.ZipFile(file) as archive:
        if "metadata.json" not in archive.namelist():
            return ""
        return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))


def reason(error: Exception) -> str:
    """Say why a network cannot be loaded or run: Keras puts the cause behind pages of configuration."""
    if isinstance(error, SourceError):
        return str(error)
    cause = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).rpartition("Exception encountered:")[2]
    cause = re.sub(r"^\s*Exception encountered when calling .*\s+", "", cause)
    for pattern, remedy in _REMEDIES:
        if match := re.search(pattern, cause):
            return remedy.format(**match.groupdict())
    return f"cannot be loaded ({first_line(ValueError(cause or type(error).__name__))})"

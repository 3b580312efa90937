"""A name or a path → a model file whose bytes are the ones that were published."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from .errors import ModelCorruptError, ModelNotFoundError
from .files import sha256_of


@dataclass(frozen=True, slots=True)
class Entry:
    """A bundled model, as `index.json` describes it.

    Attributes:
        name: Name that `Classifier` takes.
        file: Name of the file in the package.
        sha256: Hash of the whole file, in hexadecimal.
        size: Size of the file, in bytes.
    """

    name: str
    file: str
    sha256: str
    size: int

    @property
    def path(self) -> Path:
        """Path of the file in the package."""
        return _folder() / self.file

    def verify(self) -> Path:
        """Check size and hash.

        Returns:
            The path of the file.

        Raises:
            ModelCorruptError: The file is missing or not the published one.
        """
        try:
            actual = self.path.stat().st_size, sha256_of([self.path])
        except OSError as error:
            raise ModelCorruptError(f"{self.path}: {error.strerror}; reinstall aiface") from error
        if actual != (self.size, self.sha256):
            raise ModelCorruptError(f"{self.path}: is not the published file (size or SHA-256); reinstall aiface")
        return self.path


def _folder() -> Path:
    """Return the folder of `aiface_runtime.models`; wheels are always unpacked on installation."""
    try:
        return Path(str(resources.files("aiface_runtime.models")))
    except ModuleNotFoundError:  # run from a checkout's root, which shadows the installed package: setup.cfg maps it
        return Path(__file__).resolve().parents[1] / "models"


@cache
def entries() -> tuple[Entry, ...]:
    """List the bundled models, the default one first."""
    index = json.loads((_folder() / "index.json").read_text(encoding="utf-8"))
    bundled = [Entry(name, **fields) for name, fields in index["models"].items()]
    return tuple(sorted(bundled, key=lambda entry: entry.name != index["default"]))


def resolve(model: str | os.PathLike[str] | None) -> Path:
    """Find a model file.

    Args:
        model: A bundled name, which is verified; the path of an `.onnx` file; None for the default bundled model.

    Raises:
        ModelNotFoundError: Neither a bundled name nor a file.
        ModelCorruptError: A bundled file is not the published one.
    """
    known = {entry.name: entry for entry in entries()}
    if model is None:
        return next(iter(known.values())).verify()
    if isinstance(model, str) and model in known:
        return known[model].verify()
    path = Path(model)
    if path.is_file():
        return path
    raise ModelNotFoundError(f"{path}: neither a model file nor a bundled model ({', '.join(known)})")

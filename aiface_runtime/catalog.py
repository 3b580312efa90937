"""A name or a path → a model file whose bytes are the ones that were published."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .errors import ModelCorruptError, ModelNotFoundError, UsageError
from .model_file import ModelFile, check_sha256, read_model


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

    def read(self, sha256: str | None = None) -> ModelFile:
        """Read the file, once, and check size and hash.

        Args:
            sha256: Hash that the caller wants it to have; None for the published one alone.

        Raises:
            ModelCorruptError: The file is missing or not the published one, or that is not the wanted one.
        """
        try:
            model = read_model(self.path, self.sha256)
        except (ModelNotFoundError, ModelCorruptError) as error:
            raise ModelCorruptError(f"{self.path}: is not the published file ({error}); reinstall aiface") from error
        if sha256 is not None and sha256.lower() != self.sha256:
            raise ModelCorruptError(
                f"{self.name}: its SHA-256 is {self.sha256}, not {sha256.lower()}; name another model"
            )
        return model

    def verify(self) -> Path:
        """Do what `read` does for a caller who wants the path alone.

        Raises:
            ModelCorruptError: The file is missing or not the published one.
        """
        return self.read().path


def _folder() -> Path:
    """Return the folder of `aiface_runtime.models`; wheels are always unpacked on installation."""
    spec = find_spec("aiface_runtime.models")  # importlib.resources takes a hundredth of a start to import
    if spec is None or spec.origin is None:  # run from a checkout's root, which shadows the installed package
        return Path(__file__).resolve().parents[1] / "models"
    return Path(spec.origin).parent


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
        UsageError: Neither text nor a path.
    """
    if entry := _entry(model):
        return entry.verify()
    if not isinstance(model, (str, os.PathLike)):
        raise UsageError(f"model {model!r}: the name of a bundled model or the path of an .onnx file")
    path = Path(model)
    if path.is_file():
        return path
    names = ", ".join(entry.name for entry in entries())
    raise ModelNotFoundError(f"{path}: neither a model file nor a bundled model ({names})")


def load(model: str | os.PathLike[str] | None, sha256: str | None = None) -> ModelFile:
    """Find a model file as `resolve` does and read it, once.

    Args:
        model: Name or path, as of `resolve`.
        sha256: Hash that the whole file must have, 64 hexadecimal digits; None for any, of a bundled one the published.

    Raises:
        ModelNotFoundError: Neither a bundled name nor a file.
        ModelCorruptError: A file that cannot be read, a bundled one that is not the published one, or another hash.
        UsageError: `sha256` is no such hash.
    """
    check_sha256(sha256)
    entry = _entry(model)
    return entry.read(sha256) if entry else read_model(resolve(model), sha256)


def _entry(model: str | os.PathLike[str] | None) -> Entry | None:
    """Return the bundled model of a name, the default one for None; None for a path."""
    if model is None:
        return entries()[0]
    return next((entry for entry in entries() if entry.name == model), None)

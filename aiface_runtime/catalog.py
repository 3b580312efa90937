"""A name or a path → a model file whose bytes are the ones that were published."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ModelCorruptError, ModelNotFoundError, UsageError
from .model_file import ModelFile, check_sha256, model_of_bytes, read_model

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .arguments import Model

GROUP = "aiface.models"  # of the entry points by which other distributions bring models
_ELSEWHERE = {
    "large": "it comes with the wheel aiface-large: make it as docs/export.md says, and pip install it",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A bundled model, or one of another distribution, as its `index.json` describes it.

    Attributes:
        name: Name that `Classifier` takes.
        file: Name of the file in the package.
        sha256: Hash of the whole file, in hexadecimal.
        size: Size of the file, in bytes.
        folder: Folder of the file; None for that of the bundled models.
        distribution: Name of the distribution that brings it.
    """

    name: str
    file: str
    sha256: str
    size: int
    folder: Path | None = None
    distribution: str = "aiface"

    @property
    def path(self) -> Path:
        """Path of the file in its package."""
        return (self.folder or _folder()) / self.file

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
            raise ModelCorruptError(
                f"{self.path}: is not the published file ({error}); reinstall {self.distribution}"
            ) from error
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
        self.read()
        return self.path


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


def installed() -> dict[str, EntryPoint]:
    """Find the models that other installed distributions bring, by name: entry points, whose code is not run."""
    from importlib.metadata import entry_points  # only where it is asked for: start-up is shorter

    found = {point.name: point for point in reversed(tuple(entry_points(group=GROUP)))}  # the first on the path wins
    return dict(sorted(found.items()))


def read_installed(point: EntryPoint) -> Entry:
    """Read how a distribution describes its model: in `index.json`, in the folder of the module that is named.

    Raises:
        ModelCorruptError: There is no such description.
    """
    assert point.dist is not None  # noqa: S101 only of entry points made by hand
    distribution = point.dist.name
    folder = Path(str(point.dist.locate_file(point.value.replace(".", "/"))))
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        return Entry(point.name, **index["models"][point.name], folder=folder, distribution=distribution)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelCorruptError(
            f"{folder / 'index.json'}: does not describe the model {point.name!r} that {distribution} announces; "
            f"reinstall {distribution}"
        ) from error


def resolve(model: str | os.PathLike[str] | None) -> Path:
    """Find a model file.

    Args:
        model: A bundled name, the path of an `.onnx` file, or the name of an installed distribution's model; None for
            the default bundled model. Files found by name are verified.

    Raises:
        ModelNotFoundError: None of these.
        ModelCorruptError: A bundled or installed file is not the published one.
        UsageError: Neither text nor a path.
    """
    found = _find(model)
    return found.verify() if isinstance(found, Entry) else found


def _find(model: str | os.PathLike[str] | None) -> Entry | Path:
    """Return the entry of a name, the default one for None, or the path of a file."""
    if model is None:
        return entries()[0]
    if bundled := next((entry for entry in entries() if entry.name == model), None):
        return bundled
    if not isinstance(model, (str, os.PathLike)):
        raise UsageError(f"model {model!r}: the name of a model or the path of an .onnx file")
    path = Path(model)
    if path.is_file():
        return path
    if isinstance(model, str) and model in (others := installed()):
        return read_installed(others[model])
    known = [*(entry.name for entry in entries()), *installed()]
    hint = f"; {_ELSEWHERE[str(model)]}" if str(model) in _ELSEWHERE else ""
    raise ModelNotFoundError(f"{path}: neither a model file nor an installed model ({', '.join(known)}){hint}")


def load(model: Model | None, sha256: str | None = None) -> ModelFile:
    """Find a model file as `resolve` does and read it, once.

    Args:
        model: Name or path, as of `resolve`; or the file's content.
        sha256: Hash that the whole file must have, 64 hexadecimal digits; None for any, of a bundled one the published.

    Raises:
        ModelNotFoundError: Neither a model's name nor a file.
        ModelCorruptError: A file that cannot be read, one found by name that is not the published one, or another hash.
        UsageError: `sha256` is no such hash.
    """
    check_sha256(sha256)
    if isinstance(model, bytes | bytearray | memoryview):
        return model_of_bytes(model, sha256)
    found = _find(model)
    return found.read(sha256) if isinstance(found, Entry) else read_model(found, sha256)

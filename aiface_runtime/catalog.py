"""A name or a path → a model file whose bytes are the ones that were published."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ModelCorruptError, ModelNotFoundError
from .files import sha256_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

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
            raise ModelCorruptError(f"{self.path}: {error.strerror}; reinstall {self.distribution}") from error
        if actual != (self.size, self.sha256):
            raise ModelCorruptError(
                f"{self.path}: is not the published file (size or SHA-256); reinstall {self.distribution}"
            )
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
    """
    known = {entry.name: entry for entry in entries()}
    if model is None:
        return next(iter(known.values())).verify()
    if isinstance(model, str) and model in known:
        return known[model].verify()
    path = Path(model)
    if path.is_file():
        return path
    others = installed()
    if isinstance(model, str) and model in others:
        return read_installed(others[model]).verify()
    hint = f"; {_ELSEWHERE[str(model)]}" if str(model) in _ELSEWHERE else ""
    raise ModelNotFoundError(
        f"{path}: neither a model file nor an installed model ({', '.join([*known, *others])}){hint}"
    )

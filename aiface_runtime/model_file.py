"""The bytes of a model file: read once, hashed, and held, so that all that is opened later is the same file."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .cpu_limits import usable_cores
from .devices import import_onnxruntime
from .errors import BackendNotInstalledError, ManifestError, ModelCorruptError, ModelNotFoundError, UsageError
from .manifest import KEY, MAX_CHARACTERS, Manifest, parse_manifest
from .onnx_bytes import content_sha256, has_external_data, metadata

_MAX_BYTES = 2**31 - 1  # what one protobuf message can have


@dataclass(frozen=True)
class ModelFile:
    """A model file that was read.

    Attributes:
        path: Path that it was read from; None where the caller has read it.
        data: All of its bytes.
        verified: Whether they were held to a hash of the whole file, so that no other hash is needed.
    """

    path: Path | None
    data: bytes = field(repr=False)
    verified: bool = False

    @property
    def name(self) -> str:
        """What messages call it: its path, or the number of its bytes."""
        return f"<{len(self.data):,} bytes>" if self.path is None else str(self.path)

    @property
    def sha256(self) -> str:
        """Hash of the whole file: 64 hexadecimal digits."""
        # Not cached: the lock of Python 3.11's cached_property would stay locked in a child that is forked meanwhile.
        return _sha256(self.data)

    def manifest(self) -> Manifest:
        """Read the manifest and hold the file to the hash that it gives.

        Raises:
            ModelCorruptError: Not an ONNX file, another graph than the manifest's, or one that needs other files.
            ManifestError: No manifest, or none that this version can use.
        """
        try:
            text = metadata(self.data, KEY)
            if text is None:
                raise ManifestError(f"{self.name}: an ONNX file without aiface's manifest; make one with aiface-export")
            manifest = parse_manifest(self._decoded(text), self.name)
            self._check_graph(manifest)
        except ManifestError:  # before ValueError: it is one
            raise
        except ValueError as error:
            raise ModelCorruptError(f"{self.name}: {error}; export the model again, or get the file again") from error
        return manifest

    def _decoded(self, text: bytes) -> str:
        if len(text) > MAX_CHARACTERS:
            raise ManifestError(f"{self.name}: its manifest has {len(text):,} bytes, more than {MAX_CHARACTERS:,}")
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            raise ManifestError(f"{self.name}: its manifest is not UTF-8; export the model again") from error

    def _check_graph(self, manifest: Manifest) -> None:
        expected = None if self.verified else manifest.graph_sha256
        if expected and _hash_beside_import(content_sha256, self.data) != expected:
            raise ValueError("its graph is not the one that its manifest was written for (SHA-256)")
        if has_external_data(self.data):
            raise ValueError("keeps weights in other files; a model file holds all of them itself")


def read_model(path: str | os.PathLike[str], sha256: str | None = None) -> ModelFile:
    """Read a model file, once.

    Args:
        path: The `.onnx` file.
        sha256: Hash that the file must have, 64 hexadecimal digits; None for any.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelCorruptError: Not a regular file, not readable, too large, or of another hash.
        UsageError: `sha256` is no such hash.
    """
    check_sha256(sha256)
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            raise ModelCorruptError(f"{path}: not a regular file of at most 2 GiB, so no model file")
        # glibc takes blocks up to the largest one that was ever freed from the heap, whose pages are at hand, instead
        # of mapping each anew: onnxruntime, which makes several of this size, opens the model in 24 ms in place of 31.
        bytes(status.st_size)
        model = ModelFile(path, path.read_bytes(), verified=sha256 is not None)
    except FileNotFoundError as error:
        raise ModelNotFoundError(f"{path}: no such model file; check the path") from error
    except OSError as error:
        raise ModelCorruptError(f"{path}: cannot be read ({error.strerror or error})") from error
    return _held_to(model, sha256)


def model_of_bytes(data: bytes | bytearray | memoryview, sha256: str | None = None) -> ModelFile:
    """Take the content of a model file; `bytes` are not copied, what can change is.

    Args:
        data: All of the file's bytes.
        sha256: Hash that they must have, 64 hexadecimal digits; None for any.

    Raises:
        ModelCorruptError: Too many, or of another hash.
        UsageError: `sha256` is no such hash.
    """
    check_sha256(sha256)
    model = ModelFile(None, bytes(data), verified=sha256 is not None)
    if len(model.data) > _MAX_BYTES:
        raise ModelCorruptError(f"{model.name}: more than the 2 GiB that a model file can have")
    return _held_to(model, sha256)


def _held_to(model: ModelFile, sha256: str | None) -> ModelFile:
    if sha256 is not None and (actual := _hash_beside_import(_sha256, model.data)) != sha256.lower():
        raise ModelCorruptError(
            f"{model.name}: its SHA-256 is {actual}, not {sha256.lower()}; get the file that was meant"
        )
    return model


def check_sha256(sha256: str | None) -> None:
    """Refuse what cannot be a hash.

    Raises:
        UsageError: Not 64 hexadecimal digits.
    """
    digits = set("0123456789abcdef")
    if sha256 is not None and not (isinstance(sha256, str) and len(sha256) == 64 and set(sha256.lower()) <= digits):
        raise UsageError(f"sha256 {sha256!r}: 64 hexadecimal digits")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _hash_beside_import(function: Callable[[bytes], str], data: bytes) -> str:
    """Hash while onnxruntime is imported: they are a tenth of a start, and neither waits for the other."""
    if usable_cores() == 1:
        return function(data)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(function(data)), name="aiface-hash")
    thread.start()
    with suppress(BackendNotInstalledError):  # which is the business of who opens the model
        import_onnxruntime()
    thread.join()
    return found[0]

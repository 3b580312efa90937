"""Where photos are kept besides the local disk: S3, GCS and others by pyarrow, the rest by fsspec."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import UsageError
from ..images.sources import one_line

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # of two letters and more, for `C:` is a drive
_OPTIONS = re.compile(r"\?[\w.]+=[^/]*$")


def is_address(name: str) -> bool:
    """Say whether a name is an address, `s3://bucket/a.jpg` for one, and not the path of a file."""
    return _ADDRESS.match(name) is not None


@dataclass(frozen=True, slots=True)
class Store:
    """A store that addresses with one beginning lie in.

    Attributes:
        filesystem: The `pyarrow.fs.FileSystem`.
        address: Beginning of the addresses; it has no user and no password.
        path: Beginning of the paths in the store in its place.
    """

    filesystem: FileSystem
    address: str = ""
    path: str = ""

    def path_of(self, address: str) -> str:
        """Return the path of what has an address."""
        return self.path + address.removeprefix(self.address)

    def address_of(self, path: str) -> str:
        """Return the address of what has a path."""
        return self.address + path.removeprefix(self.path)


def store_of(address: str) -> tuple[Store, str]:
    """Return the store that an address lies in, and the address without user, password and options.

    Raises:
        OSError, ValueError, ImportError: There is no such store; pyarrow's and fsspec's own errors are among them.
    """
    scheme, _, rest = address.partition("://")
    # By hand: what no quoting has touched may have a `?`, `#` or `%` in its name.
    options = _OPTIONS.search(rest)
    beginning, slash, name = (rest[: options.start()] if options else rest).partition("/")
    user, _, host = beginning.rpartition("@")
    host = host if ":" in user or scheme == "s3" else beginning  # Azure's container is written as a user
    filesystem, root = _filesystem(f"{scheme}://{beginning}/{options[0] if options else ''}")
    plain = f"{scheme}://{host}"
    return Store(filesystem, plain, root.rstrip("/")), plain + slash + name


def output_store(name: str) -> tuple[str, FileSystem, str]:
    """Return what Ray is to call an output, its store, and its path in it.

    Raises:
        UsageError: There is no such store.
    """
    from pyarrow.fs import LocalFileSystem

    if not is_address(name) or name.startswith("file:///"):
        path = os.path.abspath(name.removeprefix("file://"))  # noqa: PTH100 `..` goes too
        return path, LocalFileSystem(), path
    try:
        store, _ = store_of(name)
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(f"{name}: there is no such store ({one_line(error)})") from error
    return name, store.filesystem, store.path_of(store_of(name)[1])


def _filesystem(root: str) -> tuple[Any, str]:
    import pyarrow as pa
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem, S3FileSystem

    if root.startswith("s3://anonymous@"):  # as Ray's own documents write it
        return S3FileSystem(anonymous=True), urlsplit(root).netloc.rpartition("@")[2]
    try:
        return FileSystem.from_uri(root)  # type: ignore[no-any-return]
    except pa.ArrowInvalid:
        from fsspec.core import url_to_fs

        other, path = url_to_fs(root)
        return PyFileSystem(FSSpecHandler(other)), path

"""A photo of a row: a path, the address of an object, or bytes that are there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import ImageNotFoundError, ImageReadError, ImageTooLargeError
from ..images.sources import one_line, read_encoded, too_many_bytes
from ..scan.photos import PhotoFile
from .stores import Store, is_address, store_of

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem


class EncodedPhoto:
    """A photo whose bytes are there.

    Args:
        name: Name for messages and records.
        data: The encoded bytes; None where the row has none.
        max_bytes: Most bytes that are taken.

    Attributes:
        size: Their number; None where there are none.
        mtime_ns: None.
        sha256: SHA-256 of them; None until they were read.
    """

    __slots__ = ("_data", "_max_bytes", "mtime_ns", "name", "sha256", "size")

    def __init__(self, name: str, data: Any, max_bytes: int) -> None:
        self.name, self._data, self._max_bytes = name, data, max_bytes
        self.size = None if data is None else data.size
        self.mtime_ns: int | None = None
        self.sha256: bytes | None = None

    def read(self, _: int = -1, /) -> bytes:
        """Return the whole content, and nothing when asked again.

        Raises:
            InputError: There is none, or too much.
        """
        if self.sha256 is not None:
            return b""
        if self._data is None:
            raise ImageReadError(f"{self.name}: the row has no bytes; see where it was read")
        data = read_encoded(memoryview(self._data), self.name, self._max_bytes)
        self.sha256, self._data = hashlib.sha256(data).digest(), None
        return data


class StoredPhoto:
    """An object of a store, which is read once.

    Args:
        name: Address for messages and records.
        path: Path in the store.
        store: The store.
        max_bytes: Most bytes that are read.

    Attributes:
        size: Length in bytes; None until it was looked up, or where there is none.
        mtime_ns: Time of its last change, likewise.
        sha256: SHA-256 of its content; None until it was read.
    """

    __slots__ = ("_max_bytes", "_path", "_store", "mtime_ns", "name", "sha256", "size")

    def __init__(self, name: str, path: str, store: FileSystem, max_bytes: int) -> None:
        self.name, self._path, self._store, self._max_bytes = name, path, store, max_bytes
        self.size: int | None = None
        self.mtime_ns: int | None = None
        self.sha256: bytes | None = None

    def read(self, _: int = -1, /) -> bytes:
        """Return the whole content, and nothing when asked again.

        Raises:
            InputError: It cannot be read.
            OSError: Likewise; a store may raise anything.
        """
        if self.sha256 is not None:
            return b""
        self._look_up(self._store.get_file_info(self._path))
        with self._store.open_input_stream(self._path, compression=None) as stream:
            data = read_encoded(stream, self.name, self._max_bytes)
        self.sha256 = hashlib.sha256(data).digest()
        return data

    def _look_up(self, info: FileInfo) -> None:
        from pyarrow.fs import FileType

        if info.type == FileType.NotFound:
            raise ImageNotFoundError(self.name)
        if info.type == FileType.Directory:
            raise ImageReadError(f"{self.name}: is a folder, not an image file; name the photos in it")
        self.size, self.mtime_ns = info.size, info.mtime_ns
        if info.size is not None and info.size > self._max_bytes:
            raise ImageTooLargeError(too_many_bytes(self.name, info.size, self._max_bytes))


Photo: TypeAlias = PhotoFile | StoredPhoto | EncodedPhoto


class Opener:
    """Makes the photos of rows; it keeps one store for all addresses with one beginning.

    Args:
        max_bytes: Most bytes of a photo that are read.
        store: Store of all names; None for the local disk, and for that of each address.
    """

    def __init__(self, max_bytes: int, store: Store | None) -> None:
        self._max_bytes, self._store = max_bytes, store
        self._stores: dict[str, Store] = {}

    def named(self, name: str, problem: str | None = None) -> Photo:
        """Return the photo of a path or an address, or of one that is known to be a problem."""
        if problem is not None or not (self._store or is_address(name)):
            return PhotoFile(name, self._max_bytes, problem=problem)
        try:
            store = self._store or self._store_of(name)
        except (OSError, ValueError, ImportError) as error:
            return PhotoFile(name, self._max_bytes, problem=one_line(error))
        return StoredPhoto(name, store.path_of(name), store.filesystem, self._max_bytes)

    def encoded(self, name: str, data: Any) -> Photo:
        """Return the photo of a `pyarrow.Buffer`; None for a row without."""
        return EncodedPhoto(name, data, self._max_bytes)

    def _store_of(self, address: str) -> Store:
        beginning = "/".join(address.split("/", 3)[:3])
        if beginning not in self._stores:
            self._stores[beginning], _ = store_of(address)
        return self._stores[beginning]

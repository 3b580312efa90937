"""The photos that paths and addresses name, as a Ray dataset of names: what is read of them, the actors read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from ..errors import UsageError
from ..folders import Unreadable, looks_like_photo
from ..images.sources import one_line
from ..scan.photos import Found, find
from .stores import Store, is_address, store_of

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

ID, NAME, PROBLEM = "id", "name", "problem"
"""Columns of a listing: a number for each name, the name as bytes, and the reason why there is nothing to be read."""
_SCHEMA = pa.schema([(ID, pa.int64()), (NAME, pa.binary()), (PROBLEM, pa.string())])
_NAMES = 10_000  # of a table


class Listing(Datasource):  # type: ignore[misc]
    """Names of photos.

    A row has only a name, so that blocks are small, and a resumed job does not read what it has answered before: Ray
    leaves out the rows of a checkpoint behind what reads them.

    Args:
        found: The photos, and what is in the place of some.
        rows: Photos of a block, which an actor answers at once.
    """

    def __init__(self, found: Iterable[Found], rows: int) -> None:
        super().__init__()
        self._rows = rows
        photos = iter(found)
        # Tables are kept by Ray and shared by tasks, which would each carry their names otherwise.
        self._tables: list[tuple[Any, int, int]] = []  # reference, rows, bytes
        while part := list(islice(photos, max(rows, _NAMES) // rows * rows)):
            table = table_of(part)
            self._tables.append((ray.put(table), table.num_rows, table.nbytes))

    def estimate_inmemory_data_size(self) -> int:
        """Return the bytes of all rows."""
        return sum(size for _, _, size in self._tables)

    def get_read_tasks(self, *_: object, **__: object) -> list[ReadTask]:
        """Return a task for each block; it gives the same rows when it is run again after a node was lost."""
        tasks = []
        for table, count, size in self._tables:
            for start in range(0, count, self._rows):
                rows = min(self._rows, count - start)
                about = BlockMetadata(rows, size * rows // count, None, None)
                tasks.append(ReadTask(partial(_block, table, start, rows), about, schema=_SCHEMA))
        return tasks


def _block(table: Any, start: int, rows: int) -> list[pa.Table]:
    return [ray.get(table).slice(start, rows)]


def table_of(part: Sequence[Found]) -> pa.Table:
    """Return names as a table of a listing."""
    names = [os.fsencode(photo if isinstance(photo, str) else photo.name) for photo in part]
    problems = [photo.reason if isinstance(photo, Unreadable) else None for photo in part]
    return pa.table([[id_of(name) for name in names], names, problems], schema=_SCHEMA)


def id_of(name: bytes) -> int:
    """Return a number of 64 bits for a name: a checkpoint holds one for each photo in the memory of each node."""
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little", signed=True)


def found_in(names: Sequence[str], filesystem: FileSystem | None) -> tuple[Iterator[Found], Store | None]:
    """Find photos as `aiface scan` does, each once, and in stores likewise.

    Args:
        names: Folders and photos: paths, or addresses in one store.
        filesystem: Store that all names are paths in; None for what each of them says.

    Raises:
        UsageError: There is no such store, or there are several.
    """
    if filesystem is not None:
        store = Store(filesystem)
        return _stored(names, store), store
    names = [_local(name) for name in names]
    if not any(map(is_address, names)):
        return find([os.path.abspath(name) for name in names]), None  # noqa: PTH100 `..` goes too
    if not all(map(is_address, names)):
        raise UsageError("name either paths or addresses in one store, not both")
    try:
        stores = [store_of(name) for name in names]
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(f"{', '.join(names)}: there is no such store ({one_line(error)})") from error
    if len({store.address for store, _ in stores}) > 1:
        raise UsageError("name addresses in one store; run the command once for each of several")
    return _stored([plain for _, plain in stores], stores[0][0]), stores[0][0]


def _local(name: str) -> str:
    return name.removeprefix("file://") if name.startswith("file:///") else name


def _stored(names: Sequence[str], store: Store) -> Iterator[Found]:
    seen: set[str] = set()
    for name in names:
        for found in _below(name, store):
            key = found if isinstance(found, str) else found.name
            if key not in seen:
                seen.add(key)
                yield found


def _below(name: str, store: Store) -> Iterator[Found]:
    from pyarrow.fs import FileSelector, FileType

    top = store.path_of(name).rstrip("/")
    try:
        (info,) = store.filesystem.get_file_info([top])
        if info.type != FileType.Directory:
            yield name
            return
        below = store.filesystem.get_file_info(FileSelector(top, recursive=True))
    except (OSError, ValueError) as error:
        yield Unreadable(name, one_line(error))
        return
    photos = sorted(info.path for info in below if _is_photo(info, top))
    yield from map(store.address_of, photos) if photos else [Unreadable(name, "no photos in this folder")]


def _is_photo(info: FileInfo, top: str) -> bool:
    """Say whether a file is named as a photo, and neither it nor a folder on the way to it is hidden."""
    from pyarrow.fs import FileType

    hidden = any(part.startswith(".") for part in info.path.removeprefix(top).split("/"))
    return info.type == FileType.File and not hidden and looks_like_photo(info.path)

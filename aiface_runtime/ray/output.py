"""The output of a job: Parquet parts in a folder, and beside it which photos they answer."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import dataset
from pyarrow.fs import FileSelector, FileType, LocalFileSystem
from pyarrow.parquet import ParquetFile, read_table

from ..errors import OutputError, UsageError
from ..images.sources import one_line
from ..scan.lock import locked
from ..scan.resume import check_settings
from .checkpoint import PENDING
from .listing import ID
from .stores import output_store

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ..scan.records import Settings

_SUFFIX = ".parquet"


class Output:
    """Parts of an output, and the checkpoint that Ray keeps beside it.

    Ray writes the ids of a part's rows as `NAME.pending.parquet`, then the part `NAME-0.parquet`, then it renames the
    ids to `NAME.parquet`. So the ids that are not pending are the truth of what was answered.

    Args:
        name: Folder as the user named it: a path, or an address.

    Raises:
        UsageError: There is no such store.
    """

    def __init__(self, name: str) -> None:
        self.name = name.rstrip("/") if len(name) > 1 else name
        self.address, self._files, self._path = output_store(self.name)
        self.checkpoint = self.address + ".checkpoint"
        self._ids = self._path + ".checkpoint"

    def check(self, *, resume: bool) -> None:
        """Refuse an output that is not to be gone on with, and one that cannot be.

        Raises:
            UsageError: It exists, and `resume` does not say to go on with it; or no job has written it.
        """
        with self._writing():
            existing = [self._files.get_file_info(path).type != FileType.NotFound for path in (self._path, self._ids)]
            if any(existing) and not resume:
                raise UsageError(f"{self.name}: exists; --resume goes on with it, or give another name")
            if self._parts() and not existing[1]:
                raise UsageError(f"{self.name}: has no {self.name}.checkpoint that tells what it holds; name another")

    def lock(self) -> AbstractContextManager[None]:
        """Hold the output for this process; that of a store cannot be held."""
        if not isinstance(self._files, LocalFileSystem):
            return nullcontext()
        if not Path(self._path).parent.is_dir():
            raise UsageError(f"{self.name}: there is no folder {Path(self._path).parent}; make it first")
        return locked(Path(self._path))

    def check_settings(self, settings: Settings) -> None:
        """Refuse to go on with answers of another model, or of other options.

        Raises:
            UsageError: They are such.
        """
        with self._writing():
            for path in self._parts().values():
                with self._files.open_input_file(path) as file:
                    row = ParquetFile(file).read_row_group(0, list(settings)).slice(0, 1).to_pylist()[0]
                check_settings(self.name, row, settings, "name another folder")
                return

    def settle(self) -> None:
        """Remove the parts whose ids are not known for sure, and the ids whose part is missing: those are done again.

        Raises:
            OutputError: They cannot be removed.
        """
        with self._writing():
            parts, known, pending = self._parts(), *self._checkpoints()
            for name in parts.keys() - known.keys():
                self._files.delete_file(parts[name])
            for path in [*pending.values(), *(known[name] for name in known.keys() - parts.keys())]:
                self._files.delete_file(path)

    def known(self) -> frozenset[str]:
        """Return the names of all parts that are whole."""
        with self._writing():
            return frozenset(self._checkpoints()[0])

    def remove_late(self, before: frozenset[str], run: str) -> None:
        """Remove the parts that an earlier job, whose program had ended, wrote while this one answered for them too.

        Args:
            before: Names of the parts when this job began.
            run: Beginning of the names of this job's own parts.
        """
        self.settle()
        with self._writing():
            known, _ = self._checkpoints()
            late = [name for name in known if name not in before and not name.startswith(run)]
            if not late:
                return
            own = pa.concat_arrays([self._ids_of(path) for name, path in known.items() if name.startswith(run)])
            parts = self._parts()
            for name in late:
                if pa.compute.any(pa.compute.is_in(self._ids_of(known[name]), own)).as_py():
                    self._files.delete_file(known[name])
                    self._files.delete_file(parts[name])

    def _ids_of(self, path: str) -> Any:
        return read_table(path, filesystem=self._files, columns=[ID])[ID].combine_chunks()

    def counts(self) -> tuple[Counter[str], Counter[str]]:
        """Count the rows of all parts: those with an answer by verdict, those without one by error code.

        Raises:
            OutputError: They cannot be read.
        """
        with self._writing():
            parts = list(self._parts().values())
            verdicts: Counter[str] = Counter()
            failures: Counter[str] = Counter()
            table = dataset.dataset(parts, filesystem=self._files, format="parquet") if parts else None
            for batch in table.to_batches(columns=["verdict", "error"]) if table else ():
                for column, counter in (("verdict", verdicts), ("error", failures)):
                    for pair in batch[column].drop_null().value_counts().to_pylist():
                        counter[pair["values"]] += pair["counts"]
        return verdicts, failures

    def _parts(self) -> dict[str, str]:
        """Return the paths of the parts by name, which has nothing of Ray's `-0.parquet`."""
        found = self._below(self._path)
        return {
            name.removesuffix(_SUFFIX).rpartition("-")[0]: path
            for name, path in found.items()
            if name.endswith(_SUFFIX)
        }

    def _checkpoints(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the paths of the ids of whole parts, and of those that were begun, by the part's name."""
        found = self._below(self._ids)
        pending = {name.removesuffix(PENDING): path for name, path in found.items() if name.endswith(PENDING)}
        known = {
            name.removesuffix(_SUFFIX): path
            for name, path in found.items()
            if name.endswith(_SUFFIX) and not name.endswith(PENDING)
        }
        return known, pending

    def _below(self, folder: str) -> dict[str, str]:
        infos = self._files.get_file_info(FileSelector(folder, allow_not_found=True))
        return {posixpath.basename(info.path): info.path for info in infos if info.type == FileType.File}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{self.name}: cannot be written or read ({one_line(error)})") from error

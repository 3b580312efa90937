"""Which rows a checkpoint of Ray's has; they are left out here, while Ray writes it.

Ray would leave them out by an actor that takes a core beside those that answer: where those hold all, or what reads a
dataset needs one, it waits for ever. It does not know the blocks of `read_webdataset` either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from pyarrow import dataset
from pyarrow.fs import FileSelector, FileType
from ray.data.checkpoint import CheckpointConfig, IdColumnCheckpointManager

from .cluster import light_tasks
from .stores import output_store

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from ray.data import Dataset

PENDING = ".pending.parquet"


class NothingToLeaveOut(IdColumnCheckpointManager):  # type: ignore[misc]
    """Removes what a killed job has begun, as Ray's own does, and leaves out no row."""

    def load_checkpoint(self, data_file_dir: str | None = None, data_file_filesystem: Any = None) -> tuple[None, int]:
        """Return that there is nothing to leave out."""
        self._clean_pending_checkpoints(data_file_dir, data_file_filesystem)
        return None, 0


def config_of(name: str, id_column: str) -> CheckpointConfig:
    """Return how Ray is to write a checkpoint, which stays after a job, for one that goes on with it.

    Raises:
        UsageError: There is no such store.
    """
    address, _, _ = output_store(name)
    return CheckpointConfig(
        id_column, address, delete_checkpoint_on_success=False, checkpoint_manager_cls=NothingToLeaveOut
    )


def without_written(rows: Dataset, name: str, id_column: str) -> Dataset:
    """Leave out the rows whose ids a checkpoint has."""
    written = _written(name, id_column)
    if written is None:
        return rows
    return rows.map_batches(
        _leave_out,
        fn_args=(ray.put(written), id_column),
        batch_format="pyarrow",
        batch_size=None,
        num_cpus=0,
        concurrency=light_tasks(),
    )


def _written(name: str, id_column: str) -> NDArray[Any] | None:
    """Return the ids in order; whole numbers take 8 bytes each, and nodes share them."""
    _, files, path = output_store(name)
    infos = files.get_file_info(FileSelector(path, allow_not_found=True))
    parts = [info.path for info in infos if info.type == FileType.File and not info.path.endswith(PENDING)]
    if not parts:
        return None
    ids = dataset.dataset(parts, filesystem=files, format="parquet").to_table(columns=[id_column])[id_column]
    return np.sort(ids.to_numpy())


def _leave_out(rows: pa.Table, reference: Any, id_column: str) -> pa.Table:
    written = ray.get(reference)  # the node's own copy, not one of each task
    ids = rows[id_column].to_numpy()
    found = np.minimum(np.searchsorted(written, ids), len(written) - 1)
    return rows.filter(written[found] != ids)

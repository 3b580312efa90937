"""A Ray dataset of photos, or what names them, and a dataset of answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

from ..arguments import Arguments, Model, check_count
from ..devices import Device
from ..errors import UsageError
from ..limits import DEFAULT_LIMITS, Limits
from ..scan.records import Settings, settings_of
from ..table import Extras

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem
    from ray.data import Dataset
    from ray.data.checkpoint import CheckpointConfig

    from .stores import Store

Name: TypeAlias = str | os.PathLike[str]
Concurrency: TypeAlias = int | tuple[int, int]

_FILTER_MEMORY = 2**28  # bytes that Ray sets aside for what leaves out a checkpoint's rows, where its ids take less


def classify(
    source: Dataset | Name | Sequence[Name],
    *,
    column: str = "bytes",
    id_column: str = "path",
    model: Model | None = None,
    device: Device = "auto",
    providers: Sequence[str] | None = None,
    operating_point: str = "balanced",
    sha256: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    isolate: bool = False,
    why: bool = False,
    provenance: bool = False,
    num_cpus: float = 1,
    num_gpus: float = 0,
    concurrency: Concurrency | None = None,
    batch_size: int = 128,
    filesystem: FileSystem | None = None,
    checkpoint: Name | CheckpointConfig | None = None,
) -> Dataset:
    """Answer for photos on all machines of a Ray cluster; a photo that cannot be used is a row with `error`.

    Nothing is answered before the dataset is consumed, by `write_parquet` for one.

    Args:
        source: A folder, photos, or addresses in one store (`s3://…`, whatever pyarrow or fsspec opens), of which the
            photos are found as `aiface scan` finds them; or a dataset with a column of encoded photos, or of their
            paths or addresses.
        column: That column of a dataset: bytes, or text.
        id_column: Column of a dataset whose values name the rows, each once; it stays, behind the others.
        model: As of `Classifier`, and so are the next six; the file is read here, and its content goes to the actors.
        device: See `model`.
        providers: See `model`.
        operating_point: See `model`.
        sha256: See `model`.
        limits: See `model`.
        isolate: See `model`.
        why: Whether records have the sentence on why.
        provenance: Whether records have what the files say of themselves.
        num_cpus: Cores of an actor, of which it uses the whole ones; a fraction where several share one.
        num_gpus: GPUs of an actor, or the fraction of one.
        concurrency: Number of actors, or the fewest and the most between which Ray scales; None for one up to as many
            as the cluster's cores, or GPUs, allow now.
        batch_size: Photos that an actor takes at a time, and that are answered again when it dies.
        filesystem: Store that `source` names paths in; None for what each of them says.
        checkpoint: Folder in which `write_parquet` keeps the ids of written rows, which a later job leaves out: a path
            that all nodes see, or an address; or a `CheckpointConfig`.

    Returns:
        A dataset of the columns of `aiface scan -o answers.parquet`, and one of ids: `id` of paths and addresses.

    Raises:
        AifaceError: Ray is missing, arguments make no sense, or the model cannot be used.
    """
    check_installed()
    import ray

    from .actor import Answer, Work

    check_count("batch_size", batch_size, sys.maxsize)
    extras = Extras(why=why, provenance=provenance)
    threads = max(1, int(_share("num_cpus", num_cpus)))
    given = Arguments(model, device, providers, threads, operating_point, sha256, limits, isolate)
    content, arguments, settings = _checked(given, extras)
    if not ray.is_initialized():
        ray.init()
    pool = _pool(concurrency, num_cpus, _share("num_gpus", num_gpus))
    rows: Dataset
    store: Store | None = None
    if isinstance(source, ray.data.Dataset):
        rows = source
    else:
        rows, store = _listing(source, filesystem, batch_size)
    listed = rows is not source
    id_column = "id" if listed else id_column
    answers = rows.map_batches(
        Answer,
        fn_constructor_args=(
            Work(ray.put(content), arguments, settings, extras, store, None if listed else column, id_column),
        ),
        batch_size=batch_size,
        batch_format="pyarrow",
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        compute=pool,
        udf_modifying_row_count=False,
    )
    if checkpoint is not None:
        answers.context.checkpoint_config = checkpoint_config(checkpoint, id_column)
    return answers


def check_installed() -> None:
    """Refuse to go on without Ray.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise UsageError(f'many machines need Ray ({error}); pip install "aiface[ray]"') from error


def _share(name: str, value: object) -> float:
    """Return a number of cores or GPUs, of which there are whole ones and fractions below one.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 2**20:
        raise UsageError(f"{name} {value!r}: must be a number, 0 at least")
    if float(value) > 1 and not float(value).is_integer():
        raise UsageError(f"{name} {value!r}: must be a whole number, or a fraction below 1")
    return float(value)


def _checked(given: Arguments, extras: Extras) -> tuple[bytes, Arguments, Settings]:
    """Open the model here, on the processor, so that a mistake shows before any photo is read.

    Returns:
        The file's content, the arguments that an actor opens it with, and what all records have in common.
    """
    from ..arguments import check_arguments
    from ..catalog import load
    from ..classifier import Classifier

    check_arguments(
        given.model, given.device, given.providers, given.operating_point, limits=given.limits, isolate=given.isolate
    )
    file = load(given.model, given.sha256)
    with Classifier(file.data, device="cpu", threads=1, operating_point=given.operating_point) as classifier:
        arguments = replace(given, model=None, sha256=file.sha256)
        return file.data, arguments, settings_of(classifier.manifest.id, arguments, extras)


def _listing(
    source: Name | Sequence[Name], filesystem: FileSystem | None, batch_size: int
) -> tuple[Dataset, Store | None]:
    import ray

    from .listing import Listing, found_in

    found, store = found_in(_names(source), filesystem)
    # Ray sets cores aside for what reads; listing takes none, and actors may hold all of them.
    names = ray.data.read_datasource(Listing(found), num_cpus=0)
    return names.repartition(target_num_rows_per_block=batch_size), store


def _names(source: Name | Iterable[Name]) -> list[str]:
    try:
        names = [source] if isinstance(source, str | os.PathLike) else list(source)
        decoded = [os.fsdecode(name) for name in names]
    except TypeError as error:
        raise UsageError(f"{source!r}: pass a folder, photos, addresses, or a Ray dataset") from error
    if not decoded:
        raise UsageError("name folders, photos or addresses")
    return decoded


def _pool(concurrency: Concurrency | None, num_cpus: float, num_gpus: float) -> Any:
    """Return how many actors there are.

    Raises:
        UsageError: No such number, or no node of the cluster can hold one.
    """
    import ray
    from ray.data import ActorPoolStrategy

    if isinstance(concurrency, tuple):
        fewest, most = (check_count("concurrency", number, sys.maxsize) for number in concurrency)
        if fewest > most:
            raise UsageError(f"concurrency {concurrency!r}: the fewest actors first")
        return ActorPoolStrategy(min_size=fewest, max_size=most)
    if concurrency is not None:
        return ActorPoolStrategy(size=check_count("concurrency", concurrency, sys.maxsize))
    resources = ray.cluster_resources()
    shares = [resources.get(name, 0) / share for name, share in (("CPU", num_cpus), ("GPU", num_gpus)) if share]
    return ActorPoolStrategy(min_size=1, max_size=max(1, int(min(shares, default=1))))


def checkpoint_config(checkpoint: Name | CheckpointConfig, id_column: str) -> CheckpointConfig:
    """Return where the ids of written rows are kept; they stay there after a job, for one that goes on with it."""
    from ray.data.checkpoint import CheckpointConfig

    if isinstance(checkpoint, CheckpointConfig):
        return checkpoint
    from .stores import is_address

    path = os.fsdecode(checkpoint)
    path = path if is_address(path) else os.path.abspath(path)  # noqa: PTH100 `..` goes too
    config = CheckpointConfig(id_column, path, delete_checkpoint_on_success=False)
    config.checkpoint_actor_memory_bytes = _FILTER_MEMORY
    return config

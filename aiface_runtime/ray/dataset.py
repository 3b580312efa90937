"""A Ray dataset of photos, or what names them, and a dataset of answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

from ..arguments import Arguments, Model, check_arguments, check_count
from ..devices import Device
from ..errors import UsageError
from ..limits import DEFAULT_LIMITS, Limits
from ..scan.records import Settings, settings_of
from ..table import Extras

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem
    from ray.data import Dataset
    from ray.data.checkpoint import CheckpointConfig

Name: TypeAlias = str | os.PathLike[str]
Concurrency: TypeAlias = int | tuple[int, int]
Source: TypeAlias = "Dataset | Name | Sequence[Name]"


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model that was opened here, for actors that open it elsewhere.

    Attributes:
        content: Bytes of the file.
        arguments: Arguments of `Classifier`, but for the model.
        settings: Fields that all records have in common.
        extras: Sentences and provenance, where the records are to have them.
    """

    content: bytes
    arguments: Arguments
    settings: Settings
    extras: Extras


@dataclass(frozen=True, slots=True)
class Resources:
    """What actors take of a cluster; the arguments of `classify` by these names.

    Raises:
        UsageError: One of them makes no sense.
    """

    num_cpus: float = 1
    num_gpus: float = 0
    concurrency: Concurrency | None = None
    batch_size: int = 128

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size, sys.maxsize)
        if not _share("num_cpus", self.num_cpus) + _share("num_gpus", self.num_gpus):
            raise UsageError("num_cpus 0: an actor needs a core or a GPU, or a fraction of one")
        bounds = self.concurrency if isinstance(self.concurrency, tuple) else (self.concurrency or 1,)
        if (
            sorted(check_count("concurrency", bound, sys.maxsize) for bound in bounds) != list(bounds)
            or len(bounds) > 2
        ):
            raise UsageError(f"concurrency {self.concurrency!r}: a number, or the fewest actors and the most")

    def pool(self, *, keeps_cores: bool) -> Any:
        """Return Ray's description of the actors; none of them is started yet.

        Args:
            keeps_cores: Whether there may be only one actor while others need cores, as what reads a dataset does: Ray
                would wait for ever for them beside a fixed number of actors that holds all.

        Raises:
            UsageError: No node of the cluster can hold one, so that Ray would wait for one for ever.
        """
        import ray
        from ray.data import ActorPoolStrategy

        wanted = {name: share for name, share in (("CPU", self.num_cpus), ("GPU", self.num_gpus)) if share}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        held = [min(int(node.get(name, 0) / share + 1e-9) for name, share in wanted.items()) for node in nodes]
        if not any(held):
            shares = " and ".join(f"{share:g} {name}" for name, share in wanted.items())
            raise UsageError(f"no node of this Ray cluster has the {shares} that an actor is to have; ask for less")
        if isinstance(self.concurrency, tuple):
            min_size, max_size = self.concurrency
        else:
            max_size = self.concurrency or sum(held)
            min_size = 1 if keeps_cores or self.concurrency is None else max_size
        return ActorPoolStrategy(min_size=min_size, max_size=max_size)


def _share(name: str, value: object) -> float:
    """Return a number of cores or GPUs: whole ones, or a fraction of one.

    Raises:
        UsageError: It is something else.
    """
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else -1.0
    if not 0 <= number < 2**20 or (number > 1 and not number.is_integer()):
        raise UsageError(f"{name} {value!r}: must be a whole number, or a fraction below 1")
    return number


def cores_of(num_cpus: float) -> int:
    """Return the number of cores that an actor uses.

    Raises:
        UsageError: `num_cpus` makes no sense.
    """
    return max(1, int(_share("num_cpus", num_cpus)))


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
        column: Name of that column of a dataset: bytes, or text.
        id_column: Column of a dataset whose values name the rows, each once; it stays, behind the others.
        model: Argument of `Classifier`, as are the next six; the file is read here, and its content goes to the actors.
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
        concurrency: Number of actors, of a dataset the most; or the fewest and the most between which Ray scales; None
            for one up to as many as the cluster's cores, or GPUs, allow now. What reads a dataset needs cores too.
        batch_size: Photos that an actor takes at a time, and that are answered again when it dies.
        filesystem: Store that `source` names paths in; None for what each of them says.
        checkpoint: Folder in which `write_parquet` keeps the ids of written rows, which are left out: a path that all
            nodes see, or an address. With a `CheckpointConfig` Ray leaves them out, for which it needs a core more.

    Returns:
        A dataset of the columns of `aiface scan -o answers.parquet`, and one of ids: `id` of paths and addresses.

    Raises:
        AifaceError: Ray is missing, arguments make no sense, or the model cannot be used.
    """
    check_installed()
    opened = open_model(
        Arguments(model, device, providers, cores_of(num_cpus), operating_point, sha256, limits, isolate),
        Extras(why=why, provenance=provenance),
    )
    return answers_of(
        source,
        opened,
        Resources(num_cpus, num_gpus, concurrency, batch_size),
        column=column,
        id_column=id_column,
        filesystem=filesystem,
        checkpoint=checkpoint,
    )


def check_installed() -> None:
    """Refuse to go on without Ray.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise UsageError(f'many machines need Ray ({error}); pip install "aiface[ray]"') from error


def open_model(given: Arguments, extras: Extras) -> OpenedModel:
    """Open a model here, on the processor, so that a mistake shows before any photo is read.

    Raises:
        AifaceError: It cannot be used.
    """
    from ..catalog import load
    from ..classifier import Classifier

    check_arguments(
        given.model, given.device, given.providers, given.operating_point, limits=given.limits, isolate=given.isolate
    )
    file = load(given.model, given.sha256)
    with Classifier(file.data, device="cpu", threads=1, operating_point=given.operating_point) as classifier:
        arguments = replace(given, model=None, sha256=file.sha256)
        return OpenedModel(file.data, arguments, settings_of(classifier.manifest.id, arguments, extras), extras)


def answers_of(
    source: Source,
    opened: OpenedModel,
    resources: Resources,
    *,
    column: str = "bytes",
    id_column: str = "path",
    filesystem: FileSystem | None = None,
    checkpoint: Name | CheckpointConfig | None = None,
) -> Dataset:
    """Do what `classify` does with a model that was opened before."""
    import ray

    from .actor import Answer, Work
    from .checkpoint import config_of, without_written
    from .cluster import light_tasks
    from .listing import ID, Listing, found_in

    if not ray.is_initialized():
        ray.init(os.environ.get("RAY_ADDRESS") or "local")
    pool = resources.pool(keeps_cores=isinstance(source, ray.data.Dataset))
    rows: Dataset
    if isinstance(source, ray.data.Dataset):
        rows, work = (
            source,
            Work(ray.put(opened.content), opened.arguments, opened.settings, opened.extras, None, column, id_column),
        )
    else:
        found, store = found_in(_names(source), filesystem)
        rows = ray.data.read_datasource(Listing(found, resources.batch_size), num_cpus=0, concurrency=light_tasks())
        work = Work(ray.put(opened.content), opened.arguments, opened.settings, opened.extras, store, None, ID)
    name = os.fsdecode(checkpoint) if isinstance(checkpoint, str | os.PathLike) else None
    answers = (rows if name is None else without_written(rows, name, work.id_column)).map_batches(
        Answer,
        fn_constructor_args=(work,),
        batch_size=resources.batch_size,
        batch_format="pyarrow",
        num_cpus=resources.num_cpus,
        num_gpus=resources.num_gpus,
        compute=pool,
        udf_modifying_row_count=False,
    )
    answers.context.raise_original_map_exception = True  # an actor's own error, and not a text about it
    if checkpoint is not None:
        answers.context.checkpoint_config = checkpoint if name is None else config_of(name, work.id_column)
    return answers


def _names(source: Name | Iterable[Name]) -> list[str]:
    try:
        names = [source] if isinstance(source, str | os.PathLike) else list(source)
        decoded = [os.fsdecode(name) for name in names]
    except TypeError as error:
        raise UsageError(f"{source!r}: pass a folder, photos, addresses, or a Ray dataset") from error
    if not decoded:
        raise UsageError("name folders, photos or addresses")
    return decoded

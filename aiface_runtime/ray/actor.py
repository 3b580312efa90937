"""What an actor does: it holds one `Classifier`, and answers for batches of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray

from ..scan.parquet import table_of
from ..scan.records import Settings, scan_record
from .listing import NAME, PROBLEM
from .photos import Opener, Photo

if TYPE_CHECKING:
    from ..arguments import Arguments
    from ..classifier import Classifier
    from ..table import Extras
    from .stores import Store


@dataclass(frozen=True, slots=True)
class Work:
    """What all actors of a job are told.

    Attributes:
        model: Reference to the content of the model file, so that every node has the same.
        arguments: Attribute of `OpenedModel`, as are the next two.
        settings: See `arguments`.
        extras: See `arguments`.
        store: Store of the photos; None for the local disk, and for that of each address.
        column: Column of bytes, or of paths and addresses; None for rows of a listing.
        id_column: Column that names a row and stays in the answers.
    """

    model: Any
    arguments: Arguments
    settings: Settings
    extras: Extras
    store: Store | None
    column: str | None
    id_column: str


class Answer:
    """Answers for batches of rows.

    Args:
        work: Description of what to do.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._opener = Opener(work.arguments.limits.bytes, work.store)
        self._classifier: Classifier | None = None

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Return the records of rows, with their column of ids behind those of a scan."""
        work = self._work
        photos = list(self._photos(rows))
        answers = self._opened().predict_many(photos, provenance=work.extras.provenance)
        records = [
            scan_record(work.extras.record_of(answer), photo, work.settings)
            for answer, photo in zip(answers, photos, strict=True)
        ]
        return table_of(records).append_column(work.id_column, rows[work.id_column])

    def _opened(self) -> Classifier:
        """Open the model with the first batch: what is wrong with the device is an error of the job then."""
        if self._classifier is None:
            from ..classifier import Classifier

            given = {field.name: getattr(self._work.arguments, field.name) for field in fields(self._work.arguments)}
            self._classifier = Classifier(**given | {"model": ray.get(self._work.model)})
        return self._classifier

    def _photos(self, rows: pa.Table) -> Iterator[Photo]:
        column, opener = self._work.column, self._opener
        if column is None:
            for name, problem in zip(rows[NAME], rows[PROBLEM], strict=True):
                yield opener.named(os.fsdecode(name.as_py()), problem.as_py())
        elif _is_text(rows[column].type):
            yield from (opener.named(name.as_py() or "") for name in rows[column])
        else:
            for name, data in zip(rows[self._work.id_column], rows[column], strict=True):
                yield opener.encoded(str(name.as_py()), data.as_buffer())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))

"""Records as a Parquet file, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .lines import replacing
from .records import SCAN_COLUMNS, ScanRecord, cells_of, from_cells

_ROWS = 10_000  # of a row group, which is held in memory
_TYPES = {"p_ai": "float64", "face_probability": "float64", "size": "int64", "mtime_ns": "int64"}


def check_installed(output: Path) -> None:
    """Refuse what needs pyarrow where there is none.

    Raises:
        UsageError: It is not installed.
    """
    if find_spec("pyarrow") is None:
        raise UsageError(
            f'{output}: Parquet needs pyarrow: pip install "aiface[parquet]", or end the name in .jsonl or .csv'
        )


def write(output: Path, records: Iterable[ScanRecord]) -> None:
    """Write records as a table of `SCAN_COLUMNS`, empty cells as null.

    Raises:
        OutputError: It cannot be written; an old one stays.
    """
    from pyarrow.parquet import ParquetWriter

    rows = iter(records)
    with replacing(output) as draft, ParquetWriter(draft, schema()) as file:
        while part := list(islice(rows, _ROWS)):
            file.write_table(table_of(part))


def schema() -> Any:
    """Return the `pyarrow.Schema` of a table of `SCAN_COLUMNS`."""
    import pyarrow as pa

    return pa.schema([(name, getattr(pa, _TYPES.get(name, "string"))()) for name in SCAN_COLUMNS])


def table_of(records: Sequence[ScanRecord]) -> Any:
    """Return records as a `pyarrow.Table` of `SCAN_COLUMNS`, empty cells as null."""
    import pyarrow as pa

    rows = [[_null(cell) for cell in cells_of(record)] for record in records]
    columns = {name: [row[number] for row in rows] for number, name in enumerate(SCAN_COLUMNS)}
    return pa.table(columns, schema=schema())


def _null(cell: Any) -> Any:
    return None if cell == "" else cell


def read(output: Path) -> Iterator[ScanRecord]:
    """Yield the records of a table that `write` wrote.

    Raises:
        UsageError: It is no such table.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(output) as file:
            for part in file.iter_batches(_ROWS):
                for cells in part.to_pylist():
                    yield from_cells({**cells, "warnings": cells["warnings"] or ""})
    except (pa.ArrowInvalid, LookupError, ValueError) as error:
        raise UsageError(f"{output}: is no Parquet file of a scan; give -o another name") from error

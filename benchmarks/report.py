"""Results → the tables of docs/benchmarks.md. Every number in them comes from the results file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .charts import draw
from .measurement import Measurement, Measurements, ordered, read, read_columns
from .models import NAMES
from .page import Section, table
from .subjects import OURS

_TITLES = {"bundled": "the bundled model", "swin_tiny": "Swin-tiny", "reference_resnet": "the reference ResNet"}
_NOT_TRIED = Measurement(failed="not tried")


@dataclass(frozen=True)
class _Task:
    """A task that has one row a subject.

    Attributes:
        name: Key of the task in the results.
        title: Heading of its table.
        header: Header of its table.
        cells: Cells of a row after the subject's name.
    """

    name: str
    title: str
    header: tuple[str, ...]
    cells: Callable[[Measurement], tuple[str, ...]]


_TASKS = (
    _Task(
        "paced",
        "One small photo every 50 ms, each library's own default threads",
        ("subject", "latency, ms", "ratio", "CPU seconds a second"),
        lambda row: (f"{row.ms:.1f}", _ratio(row), f"{row.cpu_share:.2f}"),
    ),
    _Task(
        "cold start",
        "From the start of a process to its first answer, files in the page cache",
        ("subject", "first answer, s", "ratio", "peak memory, MB"),
        lambda row: (_seconds(row), _ratio(row), f"{row.peak_mb:.0f}"),
    ),
    _Task(
        "imports", "Imports, beyond the interpreter's own start", ("import", "seconds"), lambda row: (_seconds(row),)
    ),
)


def section(page: Path) -> Section:
    """Return the part of a page that the tables go to."""
    return Section(page, "results")


def write(results: Mapping[str, Any], missing: Sequence[str], page: Path | None) -> None:
    """Print the tables, or put them between a page's marks with the charts beside it; say what was not measured."""
    parts = _parts(results) + ([f"**Not measured** in this run: {', '.join(missing)}."] if missing else [])
    text = "\n\n".join(parts) + "\n"
    if page is None:
        print(text)
        return
    charts = draw(results, page.with_suffix(""))
    links = "\n".join(f"![{title}]({page.stem}/{file.name})" for title, file in charts)
    section(page).replace(f"{text}\n{links}\n")


def _parts(results: Mapping[str, Any]) -> list[str]:
    parts = [_introduction(results["machine"])]
    parts += [f"Not made here: {problem}" for problem in results.get("problems", [])]
    for model in NAMES:
        if record := results.get(f"answers {model}"):
            title = f"### From file to answer: {_TITLES[model]}, one thread"
            parts += [title, _answers(read_columns(record))]
    for model in NAMES:
        for threads, unit in ((1, "1 thread"), (2, "2 threads")):
            if record := results.get(f"model {model} {threads}"):
                title = f"### The model alone: {_TITLES[model]}, {unit}"
                parts += [title, _by_column(read_columns(record), "batch of {}")]
    return parts + _single_tables(results)


def _introduction(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"Measured on {machine['processor']} ({', '.join(machine['instructions']) or 'no special instructions'}), "
        f"{machine['cores']} cores, Python {machine['python']}, with {versions}; medians of up to "
        f"{machine['rounds']} rounds in which the subjects took turns; ratios are to `{OURS}`, with 95 % intervals."
    )


def _single_tables(results: Mapping[str, Any]) -> list[str]:
    parts: list[str] = []
    for task in _TASKS:
        if record := results.get(task.name):
            parts += [f"### {task.title}", table(task.header, _rows(read(record), task.cells))]
    if record := results.get("folder"):
        parts += ["### A folder of mixed photos", _folder(read(record))]
    if record := results.get("size"):
        title = "### From file to answer by megapixels of the JPEG, one thread"
        parts += [title, _by_column(read_columns(record), "{} MP")]
    if record := results.get("footprint"):
        parts += ["### Installed size", _footprint(record)]
    if record := results.get("limits"):
        parts += ["### The limits of this machine, one thread", *_limits(record, results)]
    return parts


def _rows(measurements: Measurements, cells: Callable[[Measurement], tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [
        (name, f"FAILED: {row.failed}") if row.failed else (name, *cells(row)) for name, row in measurements.items()
    ]


def _folder(measurements: Measurements) -> str:
    limit = measurements["limit, 2 cores"].photos_per_second or float("nan")

    def cells(row: Measurement) -> tuple[str, ...]:
        speed = row.photos_per_second or float("nan")
        return f"{speed:.0f}", f"{speed / limit:.0%}"

    return table(("subject", "photos a second", "of the limit"), _rows(measurements, cells))


def _footprint(record: Mapping[str, Any]) -> str:
    rows = [("aiface wheel", f"{record['wheel_mb']:.1f}"), ("aiface installed", f"{record['installed_mb']:.1f}")]
    rows += [(name, f"{size:.0f}") for name, size in record["others_mb"].items()]
    return table(("package", "MB"), rows)


def _limits(limits: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    return [
        table(
            ("product of matrices", "giga-operations a second"),
            [(name, _rounded(value)) for name, value in limits["peaks"].items()],
        ),
        table(
            ("model", "MB", "GFLOP", "min ms in fp32", f"of what `{OURS}` takes"),
            [_work_row(model, work, limits["peaks"]["fp32"], results) for model, work in limits["work"].items()],
        ),
        table(
            ("photo", "decoding alone, ms", f"of what `{OURS}` takes to answer"),
            [
                (kind, f"{ms:.1f}", _share(ms, _our_ms(results, "answers bundled", kind)))
                for kind, ms in limits["decoding_ms"].items()
            ],
        ),
    ]


def _work_row(model: str, work: Mapping[str, Any], peak: float, results: Mapping[str, Any]) -> tuple[str, ...]:
    min_ms = work["gflop"] / peak * 1000
    share = _share(min_ms, _our_ms(results, f"model {model} 1", "1"))
    return _TITLES[model], f"{work['size'] / 1e6:.1f}", f"{work['gflop']:.2f}", f"{min_ms:.1f}", share


def _our_ms(results: Mapping[str, Any], task: str, column: str) -> float | None:
    ms: float | None = results.get(task, {}).get(column, {}).get(OURS, {}).get("ms")
    return ms


def _share(ms: float, of: float | None) -> str:
    return f"{ms / of:.0%}" if of else "not measured"


def _answers(columns: Mapping[str, Measurements]) -> str:
    rows = []
    for name in ordered(columns):
        row = [column.get(name, _NOT_TRIED) for column in columns.values()]
        differences = [cell.difference for cell in row if cell.difference is not None]
        worst = (f"{max(differences, default=float('nan')):.1e}",) if not row[0].failed else ()
        rows.append((name, *_cells(row), *worst))
    return table(("subject", *columns, "largest difference of p_ai"), rows)


def _by_column(columns: Mapping[str, Measurements], title: str) -> str:
    rows = [(name, *_cells([column.get(name, _NOT_TRIED) for column in columns.values()])) for name in ordered(columns)]
    return table(("subject", *(title.format(column) for column in columns)), rows)


def _cells(row: Sequence[Measurement]) -> list[str]:
    """Return a cell a column, or the reason alone where the subject failed from the start."""
    if row[0].failed:
        return [f"FAILED: {row[0].failed}"]
    return [f"FAILED: {cell.failed}" if cell.failed else f"{cell.ms:.1f} ms, {_ratio(cell)}" for cell in row]


def _ratio(row: Measurement) -> str:
    if row.ratio is None or row.ratio_95 is None:
        return "no ratio"
    low, high = row.ratio_95
    return f"**{row.ratio:.2f}** ({low:.2f} to {high:.2f})"


def _seconds(row: Measurement) -> str:
    return f"{(row.ms or 0.0) / 1000:.2f}"


def _rounded(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)

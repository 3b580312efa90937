"""Results → the tables of docs/benchmarks.md and its charts. Every figure on the page comes from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .models import NAMES
from .subjects import OURS

_START, _END = "<!-- results -->\n", "<!-- end of results -->"
_TITLES = {"bundled": "the bundled model", "swin_tiny": "Swin-tiny", "reference_resnet": "seed 2's ResNet"}


def write(results: Mapping[str, Any], missing: Sequence[str], page: Path | None) -> None:
    """Print the tables, or put them between a page's marks with the charts beside it; say what was not measured."""
    parts = _parts(results) + ([f"**Not measured** in this run: {', '.join(missing)}."] if missing else [])
    text = "\n\n".join(parts) + "\n"
    if page is None:
        print(text)
        return
    before, rest = page.read_text(encoding="utf-8").split(_START, 1)
    _, after = rest.split(_END, 1)
    charts = _charts(results, page.with_suffix(""))
    links = "\n".join(f"![{title}]({page.stem}/{file.name})" for title, file in charts)
    page.write_text(f"{before}{_START}{text}\n{links}\n{_END}{after}", encoding="utf-8")


def _parts(results: Mapping[str, Any]) -> list[str]:
    machine = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    intro = (
        f"Measured on {machine['processor']} ({', '.join(machine['instructions']) or 'no special instructions'}), "
        f"{machine['cores']} cores, Python {machine['python']}, with {versions}; medians of up to "
        f"{machine['rounds']} rounds in which the subjects took turns; ratios are to `{OURS}`, with 95 % intervals."
    )
    parts = [intro, *(f"Not made here: {problem}" for problem in results.get("problems", []))]
    for model in NAMES:
        if f"answers {model}" in results:
            parts += [f"### From file to answer: {_TITLES[model]}, one thread", _answers(results[f"answers {model}"])]
    for model in NAMES:
        for threads in (1, 2):
            if found := results.get(f"model {model} {threads}"):
                title = f"### The model alone: {_TITLES[model]}, {threads} thread{'s' * (threads > 1)}"
                parts += [title, _by_column(found, "batch of {}")]
    parts += _singles(results)
    return parts


def _singles(results: Mapping[str, Any]) -> list[str]:
    parts: list[str] = []
    if found := results.get("paced"):
        head = ("subject", "latency, ms", "ratio", "CPU seconds a second")
        rows = [
            _row(name, row, lambda row: (_ms(row), _ratio(row), f"{row['cpu_share']:.2f}"))
            for name, row in found.items()
        ]
        parts += ["### One small photo every 50 ms, each library's own default threads", _table(head, rows)]
    if found := results.get("cold start"):
        head = ("subject", "first answer, s", "ratio", "peak memory, MB")
        rows = [
            _row(name, row, lambda row: (f"{row['ms'] / 1000:.2f}", _ratio(row), f"{row['peak_mb']:.0f}"))
            for name, row in found.items()
        ]
        parts += ["### From the start of a process to its first answer, files in the page cache", _table(head, rows)]
    if found := results.get("imports"):
        rows = [_row(name, row, lambda row: (f"{row['ms'] / 1000:.2f}",)) for name, row in found.items()]
        parts += ["### Imports, beyond the interpreter's own start", _table(("import", "seconds"), rows)]
    if found := results.get("folder"):
        limit = found["limit, 2 cores"]["photos_per_second"]
        rows = [
            _row(name, row, lambda row: (f"{row['photos_per_second']:.0f}", f"{row['photos_per_second'] / limit:.0%}"))
            for name, row in found.items()
        ]
        parts += ["### A folder of mixed photos", _table(("subject", "photos a second", "of the limit"), rows)]
    if found := results.get("size"):
        parts += ["### From file to answer by megapixels of the JPEG, one thread", _by_column(found, "{} MP")]
    if found := results.get("footprint"):
        rows = [("aiface wheel", f"{found['wheel_mb']:.1f}"), ("aiface installed", f"{found['installed_mb']:.1f}")]
        rows += [(name, f"{size:.0f}") for name, size in found["others_mb"].items()]
        parts += ["### Installed size", _table(("package", "MB"), rows)]
    if "limits" in results:
        parts += ["### The limits of this machine, one thread", *_limits(results)]
    return parts


def _limits(results: Mapping[str, Any]) -> list[str]:
    limits = results["limits"]
    peaks = [(name, _figure(value)) for name, value in limits["peaks"].items()]
    parts = [_table(("product of matrices", "giga-operations a second"), peaks)]
    rows = []
    for model, work in limits["work"].items():
        alone = results.get(f"model {model} 1", {}).get("1", {}).get(OURS, {}).get("ms")
        least = work["gflop"] / limits["peaks"]["fp32"] * 1000
        share = f"{least / alone:.0%}" if alone else "not measured"
        rows.append((_TITLES[model], f"{work['size'] / 1e6:.1f}", f"{work['gflop']:.2f}", f"{least:.1f}", share))
    head = ("model", "MB", "GFLOP", "least ms in fp32", f"of what `{OURS}` takes")
    parts.append(_table(head, rows))
    rows = []
    for kind, decoding in limits["decoding_ms"].items():
        whole = results.get("answers bundled", {}).get(kind, {}).get(OURS, {}).get("ms")
        rows.append((kind, f"{decoding:.1f}", f"{decoding / whole:.0%}" if whole else "not measured"))
    parts.append(_table(("photo", "decoding alone, ms", f"of what `{OURS}` takes to answer"), rows))
    return parts


def _answers(found: Mapping[str, Mapping[str, Any]]) -> str:
    head = ("subject", *(kind for kind in found), "largest difference of p_ai")
    rows = []
    for name in _names(found):
        row = [found[kind].get(name, {"failed": "not tried"}) for kind in found]
        if "failed" in row[0]:
            rows.append((name, f"FAILED: {row[0]['failed']}", *[""] * len(row)))
            continue
        worst = max(cell.get("difference", float("nan")) for cell in row)
        rows.append((name, *(_ms_or_failed(cell) for cell in row), f"{worst:.1e}"))
    return _table(head, rows)


def _by_column(found: Mapping[str, Mapping[str, Any]], title: str) -> str:
    head = ("subject", *(title.format(kind) for kind in found))
    rows = []
    for name in _names(found):
        row = [found[kind].get(name, {"failed": "not tried"}) for kind in found]
        failed = "failed" in row[0]
        cells = [f"FAILED: {row[0]['failed']}", *[""] * (len(row) - 1)] if failed else map(_ms_or_failed, row)
        rows.append((name, *cells))
    return _table(head, rows)


def _names(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """This library first, then by time, then what failed."""
    first = next(iter(found.values()))
    return sorted(first, key=lambda name: (name != OURS, "failed" in first[name], first[name].get("ms", 0.0)))


def _row(name: str, row: Mapping[str, Any], cells: Any) -> tuple[str, ...]:
    return (name, f"FAILED: {row['failed']}") if "failed" in row else (name, *cells(row))


def _ms_or_failed(row: Mapping[str, Any]) -> str:
    return f"FAILED: {row['failed']}" if "failed" in row else f"{_ms(row)} ms, {_ratio(row)}"


def _ms(row: Mapping[str, Any]) -> str:
    return f"{row['ms']:.1f}"


def _ratio(row: Mapping[str, Any]) -> str:
    if "ratio" not in row:
        return "no ratio"
    low, high = row["ratio_95"]
    return f"**{row['ratio']:.2f}** ({low:.2f} to {high:.2f})"


def _figure(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    width = len(head)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * width]
    lines += ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in rows]
    return "\n".join(lines)


def _charts(results: Mapping[str, Any], folder: Path) -> list[tuple[str, Path]]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(exist_ok=True)
    made = []
    if found := results.get("answers bundled"):
        figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
        kinds = [kind for kind in ("178x218.jpg", "1024x1024.jpg", "4000x3000.jpg") if kind in found]
        names = [name for name in _names(found) if "failed" not in found[kinds[0]][name]]
        for place, name in enumerate(names):
            values = [found[kind][name].get("ratio", float("nan")) for kind in kinds]
            axes.barh(
                [index + place * 0.8 / len(names) for index in range(len(kinds))], values, 0.75 / len(names), label=name
            )
        axes.set(yticks=[index + 0.35 for index in range(len(kinds))], yticklabels=kinds)
        axes.set(xlabel=f"times what {OURS} takes, one thread", title="From file to answer, the bundled model")
        axes.invert_yaxis()
        axes.axvline(1, color="black", linewidth=0.8)
        axes.legend(fontsize=8)
        made.append(("From file to answer", folder / "answers.png"))
        figure.savefig(made[-1][1], dpi=120)
        plt.close(figure)
    if found := results.get("size"):
        figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
        sizes = [int(size) for size in found]
        for name in _names(found):
            if all("ms" in found[size].get(name, {}) for size in found):
                axes.plot(sizes, [found[size][name]["ms"] for size in found], marker="o", label=name)
        axes.set(xscale="log", yscale="log", xlabel="megapixels of the JPEG", ylabel="ms, one thread")
        axes.set(title="From file to answer by size", xticks=sizes, xticklabels=[str(size) for size in sizes])
        axes.legend(fontsize=8)
        made.append(("From file to answer by size", folder / "size.png"))
        figure.savefig(made[-1][1], dpi=120)
        plt.close(figure)
    return made

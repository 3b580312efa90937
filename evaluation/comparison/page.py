"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..markdown import headline_table, percent_estimate, table
from ..names import DEFAULT
from ..records.comparison import Comparison, Disagreement, ModelPair

_VERDICTS = ("ai", "uncertain", "real")
_GLOSSARY = (
    f"Verdicts are those of each model's own operating point {DEFAULT}. In brackets: 95 % intervals, by bootstrap for "
    "AUC and TPR, exact ones (Clopper & Pearson) for shares of photos. ECE is the mean gap between P(AI) and the share "
    "of AI."
)


def comparison_page(comparison: Comparison, image: str | None) -> str:
    """Give the tables of a comparison; every number comes out of its record.

    Args:
        comparison: The record.
        image: File name of the chart, for a link; None where there is none.
    """
    parts = ["# " + ", ".join(model.name for model in comparison.models)]
    if comparison.command:
        parts.append(f"```sh\n{comparison.command}\n```")
    if image:
        parts.append(f"![AUC against latency and size]({image})")
    conditions = "; ".join(f"*{name}*: {text}" for name, text in comparison.conditions)
    parts += [f"Conditions: {conditions}.", _GLOSSARY]
    if comparison.left_out:
        parts.append(f"**{comparison.left_out} listed photos could not be decoded; they count nowhere below.**")
    parts += ["## Size and latency", _models(comparison)]
    for split in comparison.models[0].splits:
        of_condition = {
            name: {model.name: model.splits[split][name] for model in comparison.models}
            for name, _ in comparison.conditions
        }
        parts += [f"## {split}", headline_table(of_condition)]
        parts += [text for pair in comparison.pairs for text in _pair(pair, split)]
    return "\n\n".join(parts) + "\n"


def _models(comparison: Comparison) -> str:
    header: tuple[str, ...] = ("model", "MB")
    rows: list[tuple[object, ...]] = [(model.name, f"{model.size / 1e6:.1f}") for model in comparison.models]
    reference = comparison.models[0].latency
    if reference is None:
        return table(header, rows)
    header += (f"ms, {comparison.photo} to answer, one thread", "times the first")
    timed = [
        (*row, f"{time.median:.1f} [{time.low:.1f}, {time.high:.1f}]", f"{time.median / reference.median:.2f}")
        for row, time in zip(rows, (model.latency for model in comparison.models), strict=True)
        if time
    ]
    return f"{table(header, timed)}\n\nMedian of {reference.rounds} rounds, the models in turn."


def _pair(pair: ModelPair, split: str) -> Iterator[str]:
    by_condition = pair.splits[split]
    yield f"### {pair.first} and {pair.second}, {split}"
    yield _opposite(by_condition, pair)
    yield f"Number of photos by both verdicts, {pair.first} first:"
    yield _verdicts(by_condition)


def _opposite(by_condition: Mapping[str, Mapping[str, Disagreement]], pair: ModelPair) -> str:
    header = (
        *("condition", "photos", "number", "one says AI, the other real"),
        *(f"of these {pair.first} is right", "correlation of log-odds"),
    )
    rows = [
        (condition, name, part.n, percent_estimate(part.opposite), percent_estimate(part.first_right), part.correlation)
        for condition, groups in by_condition.items()
        for name, part in groups.items()
    ]
    return table(header, rows)


def _verdicts(by_condition: Mapping[str, Mapping[str, Disagreement]]) -> str:
    columns = [(first, second) for first in _VERDICTS for second in _VERDICTS]
    header = ("condition", "photos", *(f"{first}, {second}" for first, second in columns))
    rows = [
        (condition, name, *(part.verdicts[first][second] for first, second in columns))
        for condition, groups in by_condition.items()
        for name, part in groups.items()
    ]
    return table(header, rows)

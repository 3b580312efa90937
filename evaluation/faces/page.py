"""A face report as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from ..markdown import percent_estimate, table
from ..records.faces import FaceReport, WarningRates

_HALF = "Of the pictures without a face and of the groups, the half `{}` was measured."


def face_page(report: FaceReport) -> str:
    """Give the tables of a face report; every number comes out of its record."""
    parts = [f"# {report.model}: is there a face?"]
    if report.command:
        parts.append(f"```sh\n{report.command}\n```")
    parts.append("In brackets: exact 95 % intervals (Clopper & Pearson).")
    if report.half:
        parts.append(_HALF.format(report.half))
    if report.left_out:
        parts.append(f"**{report.left_out} pictures could not be decoded; they count nowhere below.**")
    sections = {
        "Pictures without a face": report.noface,
        "Pictures without a face, by kind": report.noface_kinds,
        "Groups": report.groups,
        **{f"Labelled photos, {split}": rates for split, rates in report.photos.items()},
        **{f"Sources with photos told to have no face, {split}": rates for split, rates in report.sources.items()},
        "Labelled photos, by the width of the largest face in the photo's": report.face_sizes,
    }
    for title, rates in sections.items():
        if rates:
            parts += [f"## {title}", _rates(rates)]
    return "\n\n".join(parts) + "\n"


def _rates(groups: Mapping[str, WarningRates]) -> str:
    rows = [
        (name, rates.n, *map(percent_estimate, (rates.no_face, rates.small_face, rates.several_faces)))
        for name, rates in groups.items()
    ]
    return table(("pictures", "number", "no_face", "small_face", "several_faces"), rows)

"""Answers as HTML. Templates escape whatever they are given: names, evidence and messages are text, never markup."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..table import COLUMNS, row_of
from ..text import printable
from .pictures import data_url, face_overlay, photo_url, picture_url
from .rates import measured_rates
from .words import CREDENTIALS, LIMITS, POINTS, VERDICTS, warning_text

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..limits import Limits
    from ..manifest import Manifest
    from ..prediction import Failure, Prediction
    from .answers import Detail
    from .examples import Example


@cache
def _templates() -> Environment:
    folder = Path(__file__).parent / "assets"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"printable": printable, "percent": _percent, "warning": warning_text}
    return environment


def render(name: str, **values: Any) -> str:
    """Fill in one of the templates beside this module; every value is escaped."""
    return _templates().get_template(name).render(**values)


def message_html(message: str) -> str:
    """Return one line about what went wrong."""
    return render("message.html", message=printable(message))


def detail_html(detail: Detail, classifier: Classifier, point: str) -> str:
    """Return all that is known of one photo."""
    return render(
        "answer.html",
        answer=detail.prediction,
        verdict=VERDICTS[detail.prediction.verdict],
        point=point,
        thresholds=classifier.manifest.operating_points[point],
        rate=next(iter(measured_rates(classifier.manifest, point)), None),
        pictures=_pictures(detail),
        provenance=detail.provenance,
        credentials=CREDENTIALS[detail.provenance.credentials.state],
    )


def table_html(answers: Sequence[Prediction | Failure]) -> str:
    """Return several answers as a table, and the same as a CSV file to download."""
    words = {verdict.value: text for verdict, text in VERDICTS.items()}
    return render("table.html", answers=answers, words=words, counts=_counts(answers), csv=csv_url(answers))


def csv_url(answers: Sequence[Prediction | Failure]) -> str:
    """Return the table of `aiface predict --format csv` as an address that holds it."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row_of(answer.to_record()) for answer in answers)
    return data_url(table.getvalue().encode(), "text/csv;charset=utf-8")


def form_html(
    manifest: Manifest, default_point: str, limits: Limits, max_photos: int, examples: Sequence[Example]
) -> str:
    """Return the part of the page that takes photos."""
    from ..images import PHOTO_SUFFIXES

    known = [name for name in POINTS if name in manifest.operating_points]
    names = dict.fromkeys((default_point, *known, *manifest.operating_points))
    return render(
        "form.html",
        points=[(name, POINTS.get(name, ""), manifest.operating_points[name]) for name in names],
        suffixes=",".join(sorted(PHOTO_SUFFIXES)),
        max_bytes=limits.bytes,
        max_photos=max_photos,
        examples=[(example, data_url(example.data, example.media_type)) for example in examples],
    )


def about_html(manifest: Manifest, limits: Limits) -> str:
    """Return what is known of the model, and what it cannot do."""
    return render(
        "about.html",
        manifest=manifest,
        rates={name: measured_rates(manifest, name) for name in manifest.operating_points},
        limits=LIMITS,
        own_limits=str(manifest.document.get("limits") or ""),
        max_bytes=limits.bytes,
        max_pixels=limits.pixels,
    )


_EVIDENCE = "What the answer comes from: orange parts count towards AI, blue ones towards a real photo."
_REACTION = "It shows what the model reacted to, not what was done to the photo."
_FACES = "Where the model saw a face: bright. Probability of a face"


def _pictures(detail: Detail) -> list[tuple[str, str, str]]:
    """Return address, description and caption of each picture."""
    pictures = [(photo_url(detail.photo), "The photo, upright", "The photo")]
    if (explanation := detail.explanation) is None:
        return pictures
    described = "The class activation map over the photo in grey"
    pictures.append((picture_url(explanation.overlay()), described, f"{_EVIDENCE} {_REACTION}"))
    if (faces := explanation.faces) is not None:
        described = "The part of the photo that the model sees, bright where it saw a face"
        caption = f"{_FACES} {_percent(float(faces.max()))}."
        pictures.append((picture_url(face_overlay(explanation, faces)), described, caption))
    return pictures


def _counts(answers: Sequence[Prediction | Failure]) -> dict[str, int]:
    counts = dict.fromkeys((*VERDICTS, "failed"), 0)
    for answer in answers:
        counts[answer.verdict if answer.error is None else "failed"] += 1
    return {str(name): count for name, count in counts.items()}


def _percent(share: float) -> str:
    """Return a share as a percentage that is never rounded to a certainty."""
    text = f"{100 * share:.1f} %"
    if text == "0.0 %" and share > 0:
        return "under 0.1 %"
    return "over 99.9 %" if text == "100.0 %" and share < 1 else text

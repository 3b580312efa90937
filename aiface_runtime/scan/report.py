"""A page about a scan: one file that needs no network, the most suspicious photos first."""

from __future__ import annotations

import base64
import hashlib
import heapq
import html
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..text import printable
from .lines import replacing, writing
from .photos import PhotoFile
from .pictures import Pictures, picture_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..arguments import Arguments
    from ..classifier import Classifier
    from .records import ScanRecord

_BINS = 50  # of the histogram of P(AI)
_PART = 250  # pictures that the page reads together
_FAILED = "failed"


@dataclass(frozen=True, slots=True)
class _Row:
    """What the page shows of a record."""

    name: str
    kind: str
    p_ai: float | None
    details: str
    sha256: str | None

    @property
    def suspicion(self) -> float:
        return -1.0 if self.p_ai is None else self.p_ai


class Report:
    """Gathers pictures while a scan goes on, and writes the page.

    Args:
        classifier: The model that answers.
        arguments: Arguments that it was opened with.
        output: The file of records; the pictures lie beside it.
        page: The page.
        count: Number of photos that the page lists.
    """

    def __init__(self, classifier: Classifier, arguments: Arguments, output: Path, page: Path, count: int) -> None:
        self._classifier, self._arguments = classifier, arguments
        self._output, self._page, self._count = output, page, count
        self._spool = output.with_name(output.name + ".pictures")
        self._opened: Pictures | None = None
        self._seen: dict[str, bytes] = {}

    def open(self, *, anew: bool) -> None:
        """Make ready to keep pictures.

        Raises:
            OutputError: Their file cannot be written.
        """
        if anew:
            with writing(self._spool):
                self._spool.unlink(missing_ok=True)
        self._opened = Pictures(self._spool, self._count)

    @property
    def _pictures(self) -> Pictures:
        assert self._opened is not None  # noqa: S101 it is open
        return self._opened

    def look(self, name: str, pixels: NDArray[np.uint8], evidence: NDArray[np.float32] | None) -> None:
        """Draw the picture of a photo that is being answered; several threads call it at once."""
        self._seen[name] = picture_of(pixels, evidence)

    def note(self, record: ScanRecord) -> None:
        """Take note of a record of an earlier scan."""
        if record["p_ai"] is not None:
            self._pictures.note(record["p_ai"])

    def keep_picture(self, name: str, record: ScanRecord) -> None:
        """Keep the picture that was drawn of a photo, where the page may show it.

        Raises:
            OutputError: It cannot be written.
        """
        picture, p_ai = self._seen.pop(name, None), record["p_ai"]
        if picture is not None and p_ai is not None and record["sha256"] and self._pictures.note(p_ai):
            self._pictures.add(record["sha256"], picture)

    def write(self, records: Callable[[], Iterator[ScanRecord]]) -> None:
        """Write the page.

        Raises:
            OutputError: It cannot be written; an old one stays.
        """
        counts, bins = Counter[str](), [0] * _BINS
        listed = heapq.nlargest(self._count, _rows(records(), counts, bins), key=lambda row: row.suspicion)
        starts = self._all_pictures(listed)
        parts = self._parts(listed, counts, bins)
        with replacing(self._page) as draft, draft.open("w", encoding="utf-8", newline="\n") as page:
            for number, piece in enumerate(re.split(r"\{\{(\w+)\}\}", _resource("report.html"))):
                if number % 2 == 0:
                    page.write(piece)
                elif piece == "pictures":
                    page.writelines(self._blocks(listed, starts))
                else:
                    page.write(parts[piece])

    def _all_pictures(self, listed: Sequence[_Row]) -> Mapping[str, int]:
        """Find the pictures of all photos that are listed; those that an earlier scan did not keep are drawn now."""
        wanted = {row.sha256: row.name for row in reversed(listed) if row.sha256 and row.p_ai is not None}
        missing = wanted.keys() - self._pictures.find(wanted).keys()
        photos = [PhotoFile(wanted[sha256], self._arguments.limits.bytes) for sha256 in missing]
        for photo, _ in zip(photos, self._classifier.predict_many(photos, look=self.look), strict=True):
            picture = self._seen.pop(photo.name, None)
            if picture is not None and photo.sha256 is not None:  # it may have changed: then nobody asks for it
                self._pictures.add(photo.sha256.hex(), picture)
        return self._pictures.find(wanted)

    def _parts(self, listed: Sequence[_Row], counts: Counter[str], bins: Sequence[int]) -> Mapping[str, str]:
        manifest, point_name = self._classifier.manifest, self._arguments.operating_point
        point = manifest.operating_point(point_name)
        evidence = manifest.evidence
        document = {
            "rows": [(printable(row.name), row.kind, row.p_ai, row.details) for row in listed],
            "counts": counts,
            "map": None if evidence is None else [evidence.height, evidence.width],
            "thresholds": [point.real_below, point.ai_from],
            "part": _PART,
            "separator": os.sep,
        }
        script, style = _resource("report.js"), _resource("report.css")
        return {
            "policy": f"default-src 'none'; img-src data:; script-src {_hash(script)}; style-src {_hash(style)}; "
            "base-uri 'none'; form-action 'none'",
            "style": style,
            "script": script,
            "name": _text(self._output.name),
            "model": _text(manifest.id),
            "point": _text(point_name),
            "total": f"{sum(counts.values()):,}",
            "histogram": _histogram(bins, point.real_below, point.ai_from),
            "data": _json(document),
        }

    def _blocks(self, listed: Sequence[_Row], starts: Mapping[str, int]) -> Iterator[str]:
        """Yield the pictures of the rows by the part, so that the page shows the first ones before it has them all."""
        for start in range(0, len(listed), _PART):
            part = listed[start : start + _PART]
            pictures = [
                self._pictures.at(starts[row.sha256]) if row.sha256 and row.sha256 in starts else None for row in part
            ]
            yield f'<script type="application/json" id="part-{start // _PART}">{_json(pictures)}</script>\n'

    def close(self) -> None:
        """Write the pictures to the disk."""
        if self._opened:
            self._opened.close()


def _rows(records: Iterator[ScanRecord], counts: Counter[str], bins: list[int]) -> Iterator[_Row]:
    for record in records:
        p_ai, error = record["p_ai"], record["error"]
        kind = record["verdict"] or _FAILED
        details = ", ".join(record["warnings"]) if error is None else printable(error["message"])
        if record["duplicate_of"]:
            details = "; ".join(filter(None, [details, f"same content as {printable(record['duplicate_of'])}"]))
        counts[kind] += 1
        if p_ai is not None:
            bins[min(_BINS - 1, int(p_ai * _BINS))] += 1
        yield _Row(record["input"], kind, p_ai, details, record["sha256"])


def _histogram(bins: Sequence[int], real_below: float, ai_from: float) -> str:
    """Draw how many photos have which P(AI); heights are square roots, so that few beside many are seen."""
    top = max(*bins, 1) ** 0.5
    width = 500 / len(bins)
    bars = []
    for number, count in enumerate(bins):
        height, middle = 100 * count**0.5 / top, (number + 0.5) / len(bins)
        kind = "ai" if middle >= ai_from else "real" if middle < real_below else "uncertain"
        bars.append(
            f'<rect class="{kind}" x="{number * width:g}" y="{100 - height:.1f}" width="{width - 1:g}" '
            f'height="{height:.1f}"><title>{count:,} photos from {number / len(bins):g}</title></rect>'
        )
    lines = (f'<line x1="{500 * at:.1f}" x2="{500 * at:.1f}" y1="0" y2="100"/>' for at in (real_below, ai_from))
    return "".join((*bars, *lines))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(text: str) -> str:
    return html.escape(printable(text))


def _json(document: Any) -> str:
    """Return JSON in ASCII that ends no element of a page and starts none."""
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")

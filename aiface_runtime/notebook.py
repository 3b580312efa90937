"""What a notebook shows of an answer: HTML without scripts, in the colours of the page that it lies in.

Styles stand in the elements, because notebooks strip style sheets; texts and lines take the page's own colour, so that
light and dark pages can both be read.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from .reasons import Basis

if TYPE_CHECKING:
    from PIL import Image

_MAX_NAME = 200  # characters of an input's name, of which the end says most
_MAX_SIDE, _QUALITY = 448, 85  # pixels and JPEG quality of a picture: some 60 kB, however large the photo is
_REAL, _UNSURE, _AI = "#0072b2", "#8a8a8a", "#d55e00"  # blue and vermillion of Okabe & Ito, as in an overlay
_COLOURS = {"real": _REAL, "ai": _AI}
_WORDS = {"real": "real photo", "ai": "AI-generated", "uncertain": "uncertain"}
_BOX = "max-width:34em;padding:.6em .8em;border:1px solid rgba(128,128,128,.5);border-radius:6px;line-height:1.4"


def answer_html(
    name: str, verdict: str, p_ai: float, *, explanation: str, details: Sequence[str], basis: Basis | None
) -> str:
    """Return an answer as a box: its verdict, P(AI) on a bar with the thresholds, and why.

    Args:
        name: Name of the input, which may hold anything.
        verdict: The verdict: real, ai or uncertain.
        p_ai: Probability of AI, 0 to 1.
        explanation: Sentence on why the verdict is what it is.
        details: Texts in small print below it.
        basis: Thresholds, which the bar shows; None where they are not known.
    """
    colour = _COLOURS.get(verdict, _UNSURE)
    shown = escape(_shortened(printable(name)))
    small = " &middot; ".join(escape(printable(detail)) for detail in details)
    return (
        f'<div style="{_BOX}"><div style="overflow-wrap:anywhere"><bdi>{shown}</bdi></div>'
        f'<div><span aria-hidden="true" style="color:{colour}">&#9679;</span> '
        f"<strong>{escape(_WORDS.get(verdict, verdict))}</strong>, P(AI) {p_ai:.3f}</div>"
        f"{_bar(p_ai, basis)}<div>{escape(printable(explanation))}</div>"
        f'<div style="font-size:.85em;opacity:.8;overflow-wrap:anywhere">{small}</div></div>'
    )


def picture_html(picture: Image.Image, text: str) -> str:
    """Return a picture in the HTML itself, at most 448 pixels wide and high.

    Args:
        picture: RGB picture of any size.
        text: Description for those who do not see it.
    """
    small = picture.copy()
    small.thumbnail((_MAX_SIDE, _MAX_SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<img alt="{escape(text)}" width="{small.width}" height="{small.height}" '
        f'style="max-width:100%;height:auto" src="data:image/jpeg;base64,{data}">'
    )


def printable(text: str) -> str:
    r"""Return a text in which what cannot be printed is written as Python does, `\u202e` for instance."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _shortened(name: str) -> str:
    return name if len(name) <= _MAX_NAME else f"\u2026{name[-_MAX_NAME:]}"


def _bar(p_ai: float, basis: Basis | None) -> str:
    low, high = (basis.real_below, basis.ai_from) if basis else (0.0, 1.0)
    stops = f"{_REAL} {low:.2%},{_UNSURE} {low:.2%},{_UNSURE} {high:.2%},{_AI} {high:.2%}"
    label = f"P(AI) {p_ai:.3f}" + (f"; real below {low:.3f}, AI from {high:.3f}" if basis else "")
    return (
        f'<div role="img" aria-label="{label}" title="{label}" style="position:relative;height:.7em;margin:.45em 0;'
        f'border-radius:.35em;background:linear-gradient(90deg,{stops})"><span style="position:absolute;'
        f"left:calc({p_ai:.2%} - 2px);top:-.2em;bottom:-.2em;width:4px;background:currentColor;"
        'outline:1px solid rgba(128,128,128,.9)"></span></div>'
    )

"""Words of a file as evidence: on one line, printable, and not all of them where they are many."""

from __future__ import annotations

import unicodedata

MAX_EVIDENCE = 240  # characters
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # Unicode: control, format (bidi among it), surrogate, unassigned


def quoted(text: str, limit: int = MAX_EVIDENCE) -> str:
    """Return a text in quotation marks, of at most `limit` characters between them."""
    return f'"{one_line(text, limit)}"'


def one_line(text: str, limit: int = MAX_EVIDENCE) -> str:
    """Return a text on one line, with what cannot be seen written as an escape; `…` where it is cut."""
    cut = text[: 4 * limit]  # so that the work is bounded too
    shown = _without_stacks(visible(" ".join(cut.split())))
    return shown if len(shown) <= limit and len(cut) == len(text) else f"{shown[: limit - 1]}…"


def visible(text: str) -> str:
    """Return a text whose characters can all be seen: an escape in place of those that cannot."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(char: str) -> str:
    return char.encode("unicode_escape").decode() if unicodedata.category(char) in _UNSEEN else char


def _without_stacks(text: str) -> str:
    """Leave out all but two of the marks that are stacked on one character, which would cover other lines."""
    kept: list[str] = []
    for char in text:
        if not (unicodedata.combining(char) and len(kept) > 1 and all(map(unicodedata.combining, kept[-2:]))):
            kept.append(char)
    return "".join(kept)


def as_text(data: bytes) -> str:
    """Return text in an encoding that nothing names: UTF-8 where it is that, else Latin-1."""
    data = data.rstrip(b"\0")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")

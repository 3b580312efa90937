"""Text of others that is shown on one line: file names, messages."""

from __future__ import annotations

import unicodedata

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode: control, format, surrogate, line and paragraph separators


def printable(text: str) -> str:
    r"""Return a text that takes one line and has no effect on a terminal: `\n` for a line feed, as `repr` writes it."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _UNSEEN else char for char in text
    )

"""Markdown tables, and pages of which a command writes one section."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiface_evaluation import markdown


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a row that is shorter than the header ends in empty cells."""
    width = len(header)
    return markdown.table(header, ([*row, *[""] * (width - len(row))] for row in rows))


@dataclass(frozen=True)
class Section:
    """The part of a page between `<!-- NAME -->` and `<!-- end of NAME -->`.

    Attributes:
        page: Markdown file.
        name: Name in the two marks.
    """

    page: Path
    name: str

    def surroundings(self) -> tuple[str, str]:
        """Return the page's text up to the first mark and from the second, both with their mark.

        Raises:
            ValueError: There is no such page, or it lacks a mark; the message names what is missing.
        """
        start, end = f"<!-- {self.name} -->\n", f"<!-- end of {self.name} -->"
        if not self.page.is_file():
            raise ValueError(f"{self.page}: there is no such page")
        before, start_mark, remainder = self.page.read_text(encoding="utf-8").partition(start)
        _, end_mark, after = remainder.partition(end)
        if not (start_mark and end_mark):
            raise ValueError(f"{self.page}: lacks the marks {start.strip()} and {end}")
        return before + start, end + after

    def replace(self, text: str) -> None:
        """Put a text between the marks.

        Raises:
            ValueError: There is no such page, or it lacks a mark.
        """
        before, after = self.surroundings()
        self.page.write_text(before + text + after, encoding="utf-8")

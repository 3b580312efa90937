"""A command replaces its own part of a page and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.page import Section, table

_PAGE = "before\n<!-- other -->\nkeep\n<!-- end of other -->\n<!-- results -->\nold\n<!-- end of results -->\nafter\n"


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    (page := tmp_path / "page.md").write_text(_PAGE)
    Section(page, "results").replace("new\n")
    assert page.read_text() == _PAGE.replace("old", "new")
    Section(page, "results").replace("old\n")
    assert page.read_text() == _PAGE


@pytest.mark.parametrize("text", [None, "", "<!-- results -->\n", "<!-- end of results -->\n<!-- results -->\n"])
def test_a_page_without_marks_is_left_alone(tmp_path: Path, text: str | None) -> None:
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text)
    with pytest.raises(ValueError, match=r"page\.md: (lacks the marks <!-- results -->|there is no such page)"):
        Section(page, "results").replace("new\n")
    assert (page.read_text() if page.exists() else None) == text


def test_short_rows_end_in_empty_cells() -> None:
    lines = table(("a", "b", "c"), [("1", "2", "3"), ("x", "FAILED")]).splitlines()
    assert lines[0] == "| a | b | c |"
    assert lines[2:] == ["| 1 | 2 | 3 |", "| x | FAILED |  |"]

"""What reads as a hub id."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiface_export.errors import SourceError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", True),
        ("org/name@main", True),
        ("org/na.me-1_x@refs/pr/2", True),
        ("name", False),
        ("org/name/deeper", False),
        ("/org/name", False),
        ("org/name@", False),
        ("org/nàme", False),
    ],
)
def test_what_reads_as_a_hub_id(text: str, expected: bool) -> None:
    hub = pytest.importorskip("aiface_export.sources.hub", reason="huggingface_hub is not installed")
    assert hub.is_hub_id(text) == expected


def test_a_folder_that_exists_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("aiface_export.sources.hub", reason="huggingface_hub is not installed")
    (tmp_path / "org" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not hub.is_hub_id("org/name")


def test_what_is_no_hub_id_is_refused_without_a_network() -> None:
    hub = pytest.importorskip("aiface_export.sources.hub", reason="huggingface_hub is not installed")
    with pytest.raises(SourceError, match=r"a/b/c: no such folder, and not a hub id"):
        hub.fetch("a/b/c")

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
        ("org/name:sub/folder", True),
        ("org/name@main:sub", True),
        ("org/name:", False),
        ("https://huggingface.co/org/name", True),
    ],
)
def test_what_reads_as_a_hub_id(text: str, expected: bool) -> None:
    hub = pytest.importorskip("aiface_export.sources.hub", reason="huggingface_hub is not installed")
    assert hub.is_hub_id(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", ("org/name", None, "")),
        ("org/name@refs/pr/2", ("org/name", "refs/pr/2", "")),
        ("org/name:sub/folder/", ("org/name", None, "sub/folder")),
        ("org/name@v1:sub", ("org/name", "v1", "sub")),
        ("https://huggingface.co/org/name", ("org/name", None, "")),
        ("https://hf.co/org/name/", ("org/name", None, "")),
        ("huggingface.co/org/name/tree/main/sub", ("org/name", "main", "sub")),
        ("https://huggingface.co/org/name/tree/main", ("org/name", "main", "")),
        (
            "https://huggingface.co/org/name/tree/main/sub/folder?library=transformers",
            ("org/name", "main", "sub/folder"),
        ),
        ("https://huggingface.co/org/name/blob/refs%2Fpr%2F2/sub/config.json", ("org/name", "refs/pr/2", "sub")),
        ("https://huggingface.co/org/name/resolve/main/model.safetensors", ("org/name", "main", "")),
    ],
)
def test_the_folder_that_an_id_or_a_page_names(text: str, expected: tuple[str, str | None, str]) -> None:
    hub = pytest.importorskip("aiface_export.sources.hub", reason="huggingface_hub is not installed")
    location = hub.parse(text)
    assert (location.repo, location.revision, location.subfolder) == expected


@pytest.mark.parametrize(
    "text",
    [
        "https://huggingface.co/org",
        "https://huggingface.co/datasets/name",
        "https://huggingface.co/org/name/discussions/1",
        "https://example.com/org/name",
        "org/name:../other",
    ],
)
def test_other_pages_are_refused(text: str) -> None:
    hub = pytest.importorskip("aiface_export.sources.hub", reason="huggingface_hub is not installed")
    with pytest.raises(SourceError, match="org/name"):
        hub.parse(text)


def test_a_folder_that_exists_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("aiface_export.sources.hub", reason="huggingface_hub is not installed")
    (tmp_path / "org" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not hub.is_hub_id("org/name")


def test_what_is_no_hub_id_is_refused_without_a_network() -> None:
    hub = pytest.importorskip("aiface_export.sources.hub", reason="huggingface_hub is not installed")
    with pytest.raises(SourceError, match=r"a/b/c: no such folder, and not a hub id"):
        hub.fetch("a/b/c")

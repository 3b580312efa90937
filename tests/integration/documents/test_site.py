"""The site builds without a warning and asks nothing of the network, when it is built and when it is read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.documents import GENERATED, ROOT, WRITTEN

pytestmark = pytest.mark.skipif(
    find_spec("mkdocs") is None or find_spec("mkdocstrings") is None, reason="MkDocs comes with the extra 'docs'"
)
# Every connection of the process that builds ends it.
BUILD = """
import socket, sys
def refuse(*_): sys.exit("the build opened a connection")
socket.socket.connect = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli
cli()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does, but elsewhere."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-c",
        BUILD,
        "build",
        "--strict",
        "--site-dir",
        str(folder),
        "-f",
        str(ROOT / "mkdocs.yml"),
    ]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def html(site: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(site.rglob("*.html")):
        yield path.relative_to(site).as_posix(), path.read_text(encoding="utf-8")


def test_every_document_is_a_page(site: Path) -> None:
    text = "\n".join(page for _, page in html(site))
    for document in (path for path in (*WRITTEN, *GENERATED) if path.parent.name != "space"):
        title = re.search(r"^# (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
        assert title is not None, document
        heading = re.sub(r"[`*]", "", title[1]).replace("\N{APOSTROPHE}", "&#39;")
        assert re.search(rf"<h1[^>]*>{re.escape(heading)}", re.sub(r"</?(code|em)>", "", text)), document


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = (
        r'<(?:script|img|iframe|source|video)[^>]*\ssrc="(?:https?:)?//',
        r'<link[^>]*rel="(?:stylesheet|preconnect|preload|icon)"[^>]*href="(?:https?:)?//',
    )
    assert [(name, tag) for name, page in html(site) for tag in loaded if re.search(tag, page)] == []
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert styles
    assert not any(re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style) for style in styles)


def test_links_to_source_files_lead_to_pages_that_show_them(site: Path) -> None:
    page = (site / "library.html").read_text(encoding="utf-8")
    (link,) = set(re.findall(r'href="([^"]*errors\.py\.html)"', page))
    assert "class InputError" in re.sub(r"<[^>]*>", "", (site / link).read_text(encoding="utf-8"))


def test_programs_are_included_where_they_are_named(site: Path) -> None:
    page = re.sub(r"<[^>]*>", "", (site / "embed.html").read_text(encoding="utf-8"))
    assert "def create_app() -&gt; Flask:" in page
    assert "--8&lt;--" not in page


def test_the_reference_shows_the_public_names(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    for name in (
        "classifier.Classifier.predict_many",
        "prediction.PhotoWarning",
        "limits.Limits",
        "errors.ImageTooLargeError",
    ):
        assert f'id="aiface_runtime.{name}"' in page

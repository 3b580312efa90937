"""Hook of MkDocs: documents outside docs/ become pages, and links lead to the same things as in the repository.

Nothing is copied: a page is read from where it lies. A link to a source file leads to a page that shows it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).resolve().parents[1]
_DOCS = _ROOT / "docs"
_PAGES = {
    _ROOT / "README.md": "index.md",
    _ROOT / "CHANGELOG.md": "changelog.md",
    _ROOT / "CONTRIBUTING.md": "contributing.md",
    _ROOT / "SECURITY.md": "security.md",
    _ROOT / "examples/README.md": "examples.md",
    _ROOT / "models/aiface-lite0.md": "model/card.md",
}
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)\s#]+)")
_LANGUAGES = {
    ".cpp": "cpp",
    ".mjs": "js",
    ".py": "python",
    ".sh": "sh",
    ".toml": "toml",
    ".yml": "yaml",
    ".json": "json",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/, and those of the source files that any page links to."""
    for path, uri in _PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    for path in sorted(_linked_sources(files.documentation_pages())):
        files.append(File.generated(config, _uri(path), content=_source_page(path)))
    return files


def on_page_markdown(markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn the links of a page, which hold in the repository, into those that hold on the site."""
    path = page.file.abs_src_path
    if path is None:  # a source file's page, which has no links
        return markdown

    def on_site(link: re.Match[str]) -> str:
        target = _target(Path(path), link[0])
        return os.path.relpath(_uri(target), Path(page.file.src_uri).parent) if target.is_file() else link[0]

    return _LINK.sub(on_site, markdown)


def _target(page: Path, link: str) -> Path:
    return Path(os.path.normpath(page.parent / link))


def _uri(path: Path) -> str:
    if path.is_relative_to(_DOCS):
        return path.relative_to(_DOCS).as_posix()
    return _PAGES.get(path) or f"source/{path.relative_to(_ROOT).as_posix()}.md"


def _linked_sources(pages: Iterable[File]) -> set[Path]:
    links = {
        _target(Path(page.abs_src_path or _DOCS), link) for page in pages for link in _LINK.findall(page.content_string)
    }
    return {
        path for path in links if path.is_file() and path.is_relative_to(_ROOT) and _uri(path).startswith("source/")
    }


def _source_page(path: Path) -> str:
    name, language = path.relative_to(_ROOT).as_posix(), _LANGUAGES.get(path.suffix, "text")
    text = path.read_text(encoding="utf-8")
    return f"---\nsearch:\n  exclude: true\n---\n# {name}\n\n`````{language}\n{text}`````\n"

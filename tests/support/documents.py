"""The project's documents, and the blocks of code in them: what is run, and what is not and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = (*sorted((ROOT / "docs/model").glob("*.md")), *sorted((ROOT / "models").glob("*.md")))
"""Pages that a command writes: the command is their block, and reads the photos beside the project or takes hours."""
WRITTEN = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(path for folder in ("examples", "space") for path in sorted((ROOT / folder).glob("*.md"))),
]
RUN = ("python", "sh")
SHOWN = ("json", "text", "dockerfile", "yaml", "toml", "ini", "js", "html")  # languages of blocks that nothing runs
_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]*) -->\n)?```(?P<language>[^\n]*)\n(?P<source>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_SNIPPET = re.compile(r"^--8<--\n(.*)\n--8<--$", re.MULTILINE)

# Why a block may stay unrun, and what one of its lines must show of that.
REASONS = {
    "installs packages": r"\b(pip|npm) (install|wheel|uninstall)\b|^make (run|check|test|docs|wheel|extras|web)\b",
    "takes hours": r"^make (model|soak|fuzz|reliability)\b|^(\S+=\S+ )?aiface-(train|large)\b|^python -m benchmarks\b",
    "needs the model hub": r"^aiface-(export|large)\b.* [\w-]+/[\w-]+|aiface-large\.onnx",
    "needs the photos beside the project": r"\.\./shared|test_scaled_decoding",
    "needs another machine": r"\bqemu\b|\bdocker\b|\bgit push\b",
    "runs until it is stopped": r"^aiface (demo|serve)\b|^python (examples|space)/\w+\.py$|\bcelery\b",
    "asks a service that runs": r"^curl\b",
}


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: Name behind the fence.
        source: Text, with what it includes by a snippet.
        reason: Reason why it is not run, of the comment before it; None where there is none.
    """

    language: str
    source: str
    reason: str | None


def blocks(document: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a document, in order."""
    for match in _FENCE.finditer(document.read_text(encoding="utf-8")):
        yield Block(match["language"], with_snippets(match["source"]), match["reason"])


def with_snippets(source: str) -> str:
    """Put the files in that stand between two lines `--8<--`, as pymdownx.snippets does on the site.

    Its form of one line would be an expression of Python, which ruff formats.
    """
    return _SNIPPET.sub(lambda line: (ROOT / line[1]).read_text(encoding="utf-8").rstrip("\n"), source)

"""Every command of the documents is one that the real command line takes, and every link leads to a file and a heading.

Blocks of code are run by tests/integration/documents/; what is not run, is counted here.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.documents import GENERATED, REASONS, ROOT, RUN, SHOWN, WRITTEN, Block, blocks

DOCUMENTS = [path for path in WRITTEN if path.name != "CHANGELOG.md"]  # which tells of commands that are gone
ELLIPSIS = ("…", "...")  # an outline of a command, not one to type


class Parsed(Exception):  # noqa: N818 no error
    """Stops a command once its arguments are parsed."""


@pytest.fixture
def only_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self: argparse.ArgumentParser, args: Sequence[str] | None = None) -> None:
        parse(self, args)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)


def command_lines(document: Path) -> Iterator[str]:
    """Yield what a reader may type: the lines of `sh` blocks, and code in the text that has options."""
    for block in blocks(document):
        if block.language == "sh":
            yield from filter(None, block.source.replace("\\\n", " ").splitlines())
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    inline = (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text))
    yield from (code for code in inline if re.match(r"(aiface|pip|make|python)\b.* -", code))


def commands(document: Path) -> list[list[str]]:
    """Return the words of every simple command, without the environment that is set before it."""
    word_lists = []
    for line in command_lines(document):
        for part in re.split(r" && | \|\| | \| | ; ", line):
            words = shlex.split(re.sub(r" [<>] \S+", "", part), comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]
            if words and not any(mark in word for word in words for mark in ELLIPSIS):
                word_lists.append(words)
    return word_lists


def settings() -> ConfigParser:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def entry_points() -> dict[str, str]:
    """Map each command to the module whose `main` it calls, as they are installed."""
    lines = settings()["options.entry_points"]["console_scripts"].split("\n")
    pairs = (line.partition("=") for line in lines if line)
    return {name.strip(): target.partition(":")[0].strip() for name, _, target in pairs}


COMMANDS = [(document.name, words) for document in DOCUMENTS for words in commands(document)]


def of(*programs: str) -> list[object]:
    """Return the documents' commands of some programs, as parameters of a test."""
    chosen = [(name, words) for name, words in COMMANDS if words[0] in programs]
    return [pytest.param(words, id=f"{name}: {shlex.join(words)}") for name, words in chosen]


PROGRAMS = sorted({words[0] for _, words in COMMANDS if words[0].startswith("aiface")})


def test_there_are_commands_of_every_program() -> None:
    assert set(PROGRAMS) == set(entry_points())
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("words", of(*PROGRAMS))
@pytest.mark.usefixtures("only_parsing")
def test_the_arguments_parse(words: list[str]) -> None:
    module = importlib.import_module(entry_points()[words[0]])
    with pytest.raises(Parsed):
        module.main(words[1:])


@pytest.mark.parametrize("words", of("make"))
def test_the_target_exists(words: list[str]) -> None:
    targets = re.findall(r"^([\w./-]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert words[1] in targets


@pytest.mark.parametrize("words", of("pip"))
def test_the_extras_exist(words: list[str]) -> None:
    extras = settings()["options.extras_require"]
    named = re.findall(r"^\.\[(.*)\]$", "\n".join(words), re.MULTILINE)
    assert {extra for names in named for extra in names.split(",")} <= set(extras)


@pytest.mark.parametrize("words", of("python"))
def test_the_script_or_module_exists(words: list[str]) -> None:
    if words[1] == "-m" and words[2] != "venv":
        module = ROOT / words[2].replace(".", "/")
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file()
    elif words[1] not in ("-m", "app.py"):  # the latter is written by the block that runs it
        assert (ROOT / words[1]).is_file()


PAGES = [*WRITTEN, *GENERATED]
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]


@pytest.mark.parametrize("document", PAGES, ids=NAMES)
def test_links_lead_to_a_file_and_a_heading(document: Path) -> None:
    lost = []
    for link in links(document):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("document", PAGES, ids=NAMES)
def test_addresses_are_well_formed(document: Path) -> None:
    """Their form alone: no test asks the network."""
    found = re.findall(r"\]\((https?:[^)]*)\)", document.read_text(encoding="utf-8"))
    assert [
        url for url in found if not re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?", urlsplit(url).netloc) or " " in url
    ] == []


def links(document: Path) -> list[str]:
    """Return the links of a document, but for addresses."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\((?!https?:|mailto:)([^)]+)\)", text)


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as MkDocs and GitHub make them of plain ones."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize("document", PAGES, ids=NAMES)
def test_every_fence_says_its_language(document: Path) -> None:
    """One that is neither run nor only shown would be a block that no test sees."""
    assert {block.language for block in blocks(document)} <= {*RUN, *SHOWN}
    fences = re.findall(r"^[\s>-]*(?:```|~~~)", document.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len([*blocks(document)]), "a fence is indented, or has no end"


NOT_RUN = Counter(
    {
        ("CONTRIBUTING.md", "installs packages"): 2,
        ("README.md", "installs packages"): 1,
        ("docs/benchmarks.md", "needs another machine"): 1,
        ("docs/benchmarks.md", "needs the photos beside the project"): 1,
        ("docs/commands.md", "installs packages"): 1,
        ("docs/demo.md", "installs packages"): 1,
        ("docs/demo.md", "runs until it is stopped"): 1,
        ("docs/embed.md", "installs packages"): 2,
        ("docs/evaluation.md", "installs packages"): 1,
        ("docs/evaluation.md", "needs the photos beside the project"): 3,
        ("docs/experiments.md", "needs the photos beside the project"): 4,
        ("docs/experiments.md", "takes hours"): 2,
        ("docs/large.md", "installs packages"): 1,
        ("docs/large.md", "needs the model hub"): 2,
        ("docs/large.md", "takes hours"): 1,
        ("docs/library.md", "installs packages"): 1,
        ("docs/other-languages.md", "installs packages"): 1,
        ("docs/provenance.md", "installs packages"): 1,
        ("docs/quickstart.md", "installs packages"): 1,
        ("docs/ray.md", "installs packages"): 1,
        ("docs/reasons.md", "installs packages"): 1,
        ("docs/reasons.md", "needs the photos beside the project"): 1,
        ("docs/serve.md", "asks a service that runs"): 1,
        ("docs/serve.md", "installs packages"): 1,
        ("docs/serve.md", "needs another machine"): 1,
        ("docs/serve.md", "runs until it is stopped"): 1,
        ("docs/training.md", "takes hours"): 1,
        ("docs/troubleshooting.md", "installs packages"): 2,
        ("docs/web.md", "installs packages"): 2,
        ("docs/your-model.md", "installs packages"): 1,
        ("docs/your-model.md", "needs the model hub"): 1,
    }
)
"""Number of blocks that are not run, by document and reason; before one is added, see whether it can be run."""


def test_what_is_not_run_is_counted() -> None:
    unrun = Counter(
        (document.relative_to(ROOT).as_posix(), block.reason)
        for document in WRITTEN
        for block in unrun_blocks(document)
    )
    assert unrun == NOT_RUN


@pytest.mark.parametrize("document", WRITTEN, ids=NAMES[: len(WRITTEN)])
def test_a_block_that_is_not_run_shows_why(document: Path) -> None:
    for block in unrun_blocks(document):
        assert block.reason in REASONS
        assert block.language == "sh", "Python is always run"
        assert re.search(REASONS[block.reason], block.source, re.MULTILINE), block.source


def unrun_blocks(document: Path) -> list[Block]:
    return [block for block in blocks(document) if block.reason is not None]


def test_comments_that_hide_a_block_are_all_read() -> None:
    """A comment that is misspelt, or away from its fence, would hide nothing and be believed."""
    for document in WRITTEN:
        text = document.read_text(encoding="utf-8")
        assert len(re.findall(r"^\s*<!--+\s*not", text, re.MULTILINE)) == len(unrun_blocks(document)), document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_files_that_it_names_exist(document: Path) -> None:
    folders = "aiface_runtime|evaluation|export|training|models|benchmarks|scripts|tests|docs"
    named = re.findall(rf"`((?:{folders})/[\w./]*)`", document.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.usefixtures("only_parsing")
def test_a_wrong_argument_is_seen() -> None:
    module = importlib.import_module(entry_points()["aiface"])
    with pytest.raises(SystemExit):
        module.main(["predict", "a.jpg", "--fromat", "jsonl"])

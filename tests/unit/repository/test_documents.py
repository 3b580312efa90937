"""Every command of the documents is one that the real command line takes, and every link leads to a file."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(path for folder in ("docs", "examples") for path in (ROOT / folder).glob("*.md")),
]
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


def blocks(document: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def command_lines(document: Path) -> Iterator[str]:
    """Yield what a reader may type: the lines of `sh` blocks, and code in the text that has options."""
    for block in blocks(document, "sh"):
        yield from filter(None, block.replace("\\\n", " ").splitlines())
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    inline = (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text))
    yield from (code for code in inline if re.match(r"(aiface|pip|make|python)\b.* -", code))


def commands(document: Path) -> list[list[str]]:
    """Return the words of every simple command, without the environment that is set before it."""
    word_lists = []
    for line in command_lines(document):
        for part in re.split(r" && | ; ", line):
            words = shlex.split(part, comments=True)
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
    elif words[1] != "-m":
        assert (ROOT / words[1]).is_file()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_python_compiles_and_links_lead_somewhere(document: Path) -> None:
    for block in blocks(document, "python"):
        compile(block, document.name, "exec")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


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

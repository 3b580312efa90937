"""Words that the project gave up for the field's own do not come back."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CHECKED = ("*.py", "*.toml", "*.md", "*.cfg", "*.sh", "*.yml", "Makefile")


@dataclass(frozen=True)
class Retired:
    """A word that is not used any more.

    Attributes:
        pattern: Regular expression of it, which ignores case where it starts with `(?i)`.
        instead: What is said now.
        example: A text that it is found in.
        allowed: A text that it is not found in, for words that also have an ordinary meaning.
    """

    pattern: str
    instead: str
    example: str
    allowed: str = ""


RETIRED = (
    Retired(
        r"(?i)\b(an|one|first|second|third|fourth|last|both|two|three|finer) acts?\b",
        "stage",
        "the second act",
        "do not act against a person",
    ),
    Retired(r"(?i)\btwin(s|ned)?\b", "reconstruction, reconstruction pair", "TAEF2's twins"),
    Retired(
        r"(?i)\bPhotoChain\b|\b(random|same|whole|full|light|one) chain\b|\[chain\]|\bchain\.(?!from_iterable)\w",
        "augmentation",
        "one random chain for both labels",
        "chain.from_iterable, a chain of operators",
    ),
    Retired(r"(?i)\bgent(le|ly)\b|\bgentle_\w+", "weak", "gently treated"),
    Retired(r"(?i)\bseed[_ -]resnet\b|\bseed 2\b|\bthe seed's\b", "reference ResNet", "seed 2", "seed = 2026"),
    Retired(r"(?i)\btiers?\b", "condition", "the tier clean", "frontier"),
    Retired(
        r"(?i)\b(each|every|which|hidden) places?\b|\bplaces?(: \w|\s=\s)|\bplaces of (a|the) photo\b",
        "path, index, cell, location",
        "place: Path",
        "takes place, in the place of a photo",
    ),
    Retired(r"(?i)\bexport\.fold\b|\bfold\.py\b|\bfrom \.+fold\b", "assemble", "export/fold.py", "folded into a layer"),
    Retired(r"(?i)\bpreparations?\b", "preprocessing", "Preparation", "prepare"),
    Retired(
        r"\b(least|most|enough|covered)(: (int|float|tuple|Box)\b| = )",
        "min_…, max_…, min_decode_size, visible_box",
        "least: int",
        "at least: 3",
    ),
    Retired(r"(?i)\btraits?\b", "image statistics", "traits of a photo"),
    Retired(r"(?i)\bleaks\b|\bleak test\b", "shortcut test, shortcuts", "the leak test", "memory leaked"),
    Retired(r"(?i)\bfile_facts\b|\bfacts of (the|a) (file|photo)", "file features", "facts of the file"),
    Retired(r"(?i)\btones?\b", "colour transfer", "borrowed tones", "stone"),
    Retired(r"(?i)\b(un)?familiar\b", "seen, unseen", "unfamiliar sources"),
    Retired(r"\b_(ACCUSED|PASSED)\b", "MAX_FPR, MAX_FNR", "_ACCUSED = 0.02"),
    Retired(r"\bYardstick\b", "VariantEvaluator", "class Yardstick:"),
    Retired(r"(?i)\b(obeys?|obeyed|burn(s|ed|t)?)\b", "request, reply, cpu_seconds", "burned = 3.0"),
    Retired(r"\bclass Draw\b|(?<!\.)\bDraw\(", "SampledExample", "Draw(photo)", "ImageDraw.Draw(photo)"),
    Retired(
        r"(?i)\b(doors?|rooms?|essays?|mutters?|valleys?|coins?)\b", "a plain statement", "behind one door", "coincide"
    ),
    Retired(
        r"(?i)\bspeaks? (for|against)\b|\b(pays?|paid) for\b|\bwithout a word\b|\b(vouch|whisper|unsettl)\w*",
        "counts towards, silently, cause",
        "orange speaks for AI",
        "people speak",
    ),
)


@dataclass(frozen=True)
class Allowed:
    """Where a retired word may stand.

    Attributes:
        files: Regular expression of the paths.
        line: Regular expression of the lines.
        reason: Why it may.
    """

    files: str
    line: str
    reason: str


EXCEPTIONS = (
    Allowed(r"tests/unit/repository/test_words\.py", "", "the list itself"),
    Allowed(r"CHANGELOG\.md", "", "tells what was renamed, and what 0.1.0 had"),
    Allowed(
        r"docs/experiments\.md", r"^`.*`(twins|level)`|was called", "the one paragraph that says what was renamed since"
    ),
    Allowed(r"models/.*\.md", "", "generated from the manifest of a published file, whose bytes do not change"),
    Allowed(
        r"(evaluation|training|export|tests)/.*\.py",
        r"[\"'](tiers?|traits|(un)?familiar|twins|chain|leaks|gentle(_pairs)?|tone|chain\.\w+|seed-resnet)[\"']",
        "a key of older JSON or of an older recipe, which is still read or refused with its new name",
    ),
    Allowed(r"tests/unit/training/test_recipe\.py", "is now called", "tests that refusal"),
)


def checked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z", "--", *CHECKED], cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name and ROOT.joinpath(name).is_file()]


def is_excepted(file: str, line: str) -> bool:
    return any(re.fullmatch(e.files, file) and re.search(e.line, line) for e in EXCEPTIONS)


PACKAGES = ("aiface_runtime", "evaluation", "export", "training", "benchmarks", "scripts", "tests/support")
UNNAMED = re.compile(r"[a-z_]\w*: (Of|As|Its?|What|How|Which|Where|Who|Why|That|Those|From|With|By|In|On|At)\b")


@pytest.fixture(scope="module")
def lines() -> list[tuple[str, int, str]]:
    files = checked_files()
    assert len(files) > 100
    texts = {file: ROOT.joinpath(file).read_text(encoding="utf-8").splitlines() for file in files}
    numbered = [(file, number, line) for file in files for number, line in enumerate(texts[file], 1)]
    return [(file, number, line) for file, number, line in numbered if not is_excepted(file, line)]


@pytest.mark.parametrize("word", RETIRED, ids=lambda word: word.instead)
def test_a_retired_word_does_not_come_back(word: Retired, lines: list[tuple[str, int, str]]) -> None:
    again = [f"{file}:{number}: {line.strip()}" for file, number, line in lines if re.search(word.pattern, line)]
    assert not again, f"say {word.instead} instead:\n" + "\n".join(again)


@pytest.mark.parametrize("word", RETIRED, ids=lambda word: word.instead)
def test_every_pattern_finds_its_word_and_no_other(word: Retired) -> None:
    assert re.search(word.pattern, word.example)
    assert not re.search(word.pattern, word.allowed)
    assert not re.search(word.pattern, word.instead)


def docstrings(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            yield ast.get_docstring(node) or ""


def test_attributes_and_arguments_are_named() -> None:
    """`name: Name of the file`, not `name: Of the file`."""
    files = [file for folder in PACKAGES for file in (ROOT / folder).rglob("*.py")]
    unnamed = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        for text in docstrings(file)
        for line in text.splitlines()
        if UNNAMED.match(line.strip())
    ]
    assert len(files) > 100
    assert UNNAMED.match("name: Of its file, for messages.")
    assert not unnamed, "name the thing first:\n" + "\n".join(unnamed)

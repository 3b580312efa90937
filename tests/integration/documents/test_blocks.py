"""Every Python and shell block of the documents is run, in order, in a folder with the photos that it names.

sybil finds the blocks and runs both languages of a page in the order in which they stand; a block after
`<!-- not run: REASON -->` is left out, for the reasons that tests/unit/repository/test_documents.py allows.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from unittest import SkipTest

import certifi
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from sybil import Document, Example, Region
from sybil.evaluators.python import PythonEvaluator
from sybil.evaluators.skip import Skipper
from sybil.example import SybilFailure
from sybil.parsers.markdown import CodeBlockParser
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer
from sybil.region import Lexeme

from tests.support import paint
from tests.support.documents import ROOT, RUN, WRITTEN, blocks, with_snippets

PAGES = [page for page in WRITTEN if any(block.language in RUN and block.reason is None for block in blocks(page))]
# Packages that exclude others of the tests: these pages run in an environment of their own.
NEEDS = {"docs/demo.md": "gradio", "docs/ray.md": "ray"}
OF_THE_CHECKOUT = ("examples", "models", "scripts")  # folders that blocks name and only read


def not_run(document: Document) -> Iterable[Region]:
    """Make sybil skip the block behind each comment."""
    skipper = Skipper("not run")
    for lexed in DirectiveInHTMLCommentLexer("not run")(document):
        yield Region(lexed.start, lexed.end, ("next", repr(lexed.lexemes["arguments"])), skipper)


def run_python(example: Example) -> None:
    source = with_snippets(example.parsed)
    roots = [node.names[0].name if isinstance(node, ast.Import) else node.module or "" for node in imports(source)]
    if missing := {root.partition(".")[0] for root in roots if find_spec(root.partition(".")[0]) is None}:
        raise SkipTest(f"not installed: {', '.join(sorted(missing))}")
    example.parsed = Lexeme(source, 0, example.parsed.line_offset)
    PythonEvaluator()(example)


def imports(source: str) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]


def run_shell(example: Example) -> str | None:
    """Run a block as a reader's shell does, but stop at the first command that fails."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example.parsed], capture_output=True, text=True, check=False, timeout=300
    )
    failed = done.returncode != 0 or "Traceback" in done.stderr
    return f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}" if failed else None


PARSERS = (not_run, CodeBlockParser("python", run_python), CodeBlockParser("sh", run_shell))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, portrait: Path) -> Path:
    """A folder with photos under the names that the documents use: the portrait, varied, and painted pictures."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    for label in ("real", "ai"):
        folder.joinpath("photos", label).mkdir(parents=True)
    with Image.open(portrait) as picture:
        for name in ("avatar.jpg", "a.jpg", "photo.jpg"):
            shutil.copy(portrait, folder / name)
        ImageOps.mirror(picture).save(folder / "b.jpg")
        for number in range(12):
            brighter = ImageEnhance.Brightness(picture).enhance(0.7 + 0.05 * number)
            brighter.resize((256, 300)).save(folder / f"photos/real/{number}.jpg", quality=80 + number)
            paint(rng, 256, 300, ai=True).save(folder / f"photos/ai/{number}.jpg", quality=80 + number)
    for name in ("other-photos", "more"):
        shutil.copytree(folder / "photos", folder / name)
    shutil.copy(certifi.where(), folder / "anchors.pem")  # certificates, as a list of signers has them
    shutil.copy(ROOT / "models/aiface-lite0.onnx", folder / "mine.onnx")
    return folder


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a page's blocks run, with the commands of this environment first on the path."""
    folder = tmp_path / "place"
    shutil.copytree(prepared, folder)
    for name in OF_THE_CHECKOUT:
        (folder / name).symlink_to(ROOT / name)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"])
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # PyTorch's threads otherwise spin while they wait
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    return folder


def run_page(page: Path) -> list[str]:
    """Run a page's blocks in this process; return the packages for whose want some were left out."""
    document = Document.parse(str(page), *PARSERS)
    document.namespace["__name__"] = page.stem  # so that a program which a block shows is imported, not started
    missing = []
    for example in document:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other packages' futures, as Python hides them by default
            try:
                example.evaluate()
            except SkipTest as reason:
                missing += [str(reason)] if str(reason).startswith("not installed") else []
            except SybilFailure as failure:
                raise AssertionError(str(failure)) from None  # sybil's own cannot be sent to another process
    return missing


@pytest.mark.slow
@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_blocks_run(page: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if (package := NEEDS.get(page.relative_to(ROOT).as_posix())) is not None:
        pytest.importorskip(package, reason=f"{package} is not installed: run this in the environment of the page")
    # A process of its own: what a block registers or sets in other packages must not reach other tests.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        missing = executor.submit(run_page, page).result()
    assert "Traceback" not in capfd.readouterr().err
    if missing:
        pytest.skip("; ".join(missing))

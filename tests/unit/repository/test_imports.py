"""Imports point only downwards, without a circle: training → export → evaluation → aiface_runtime."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = {  # from the lowest to the highest
    "aiface_runtime": "aiface_runtime",
    "aiface_evaluation": "evaluation",
    "aiface_export": "export",
    "aiface_training": "training",
}
FRAMEWORKS = {"torch", "transformers", "tensorflow", "keras", "optimum", "huggingface_hub"}
FORBIDDEN = {"aiface_runtime": FRAMEWORKS | {"onnx"}, "aiface_evaluation": FRAMEWORKS}


def modules(root: Path) -> dict[str, Path]:
    """Map the name of every module to its file."""
    paths = {}
    for package, folder in FOLDERS.items():
        for path in root.joinpath(folder).rglob("*.py"):
            parts = path.relative_to(root / folder).with_suffix("").parts
            paths[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return paths


def imported(name: str, path: Path) -> Iterator[str]:
    """Yield what a module imports, inside functions too, as absolute names: of `from a import b` it is `a.b`."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def import_graph(root: Path) -> dict[str, set[str]]:
    """Map each module to the modules of this project that it imports."""
    known = modules(root)
    graph = {}
    for name, path in known.items():
        targets = {target if target in known else target.rpartition(".")[0] for target in imported(name, path)}
        graph[name] = (targets & known.keys()) - {name}
    return graph


def upward(graph: dict[str, set[str]]) -> list[str]:
    """Return every import of a package by one below it."""
    order = list(FOLDERS)
    level = {name: order.index(name.partition(".")[0]) for name in graph}
    return sorted(f"{name} → {target}" for name in graph for target in graph[name] if level[target] > level[name])


def test_imports_point_only_downwards() -> None:
    graph = import_graph(ROOT)
    assert {name.partition(".")[0] for name in graph} == set(FOLDERS)
    assert sum(map(len, graph.values())) > 100  # the graph is not empty for another reason
    assert upward(graph) == []


def test_there_is_no_circle() -> None:
    TopologicalSorter(import_graph(ROOT)).prepare()  # its CycleError names the modules


@pytest.mark.parametrize("package", FORBIDDEN)
def test_the_lower_packages_do_without_the_frameworks(package: str) -> None:
    files = {name: path for name, path in modules(ROOT).items() if name.partition(".")[0] == package}
    third_party = {name: {target.partition(".")[0] for target in imported(name, path)} for name, path in files.items()}
    assert {name: names & FORBIDDEN[package] for name, names in third_party.items() if names & FORBIDDEN[package]} == {}


def test_an_arrow_upwards_and_a_circle_are_seen(tmp_path: Path) -> None:
    for folder in FOLDERS.values():
        tmp_path.joinpath(folder).mkdir()
        tmp_path.joinpath(folder, "__init__.py").touch()
    tmp_path.joinpath("evaluation/dataset.py").write_text("def f():\n    from aiface_export import errors\n")
    tmp_path.joinpath("export/errors.py").write_text("from .source import a\n")
    tmp_path.joinpath("export/source.py").write_text("from . import errors\n")
    graph = import_graph(tmp_path)
    assert upward(graph) == ["aiface_evaluation.dataset → aiface_export.errors"]
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()

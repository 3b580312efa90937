"""What the hook of PyInstaller must name: modules and files that no import statement leads to."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

from aiface_runtime import _pyinstaller

RUNTIME = Path(_pyinstaller.__file__).parents[1]


def test_the_hook_lies_where_the_entry_point_says() -> None:
    (folder,) = _pyinstaller.get_hook_dirs()
    assert [path.name for path in Path(folder).glob("hook-*.py")] == ["hook-aiface_runtime.py"]


def test_every_import_by_name_is_known_to_the_hook() -> None:
    """One that comes must be added to the hook where no import statement names its modules."""
    sources = {path.relative_to(RUNTIME).as_posix(): path.read_text(encoding="utf-8") for path in RUNTIME.rglob("*.py")}
    calls = {name for name, text in sources.items() if "import_module(" in text}
    of_others = {"plugins.py"}  # packages that a program which needs them names itself
    assert calls - of_others == {"__init__.py", "demo/__init__.py", "images/formats.py"}


def test_all_readers_are_in_the_package_that_the_hook_takes_whole() -> None:
    tree = ast.parse((RUNTIME / "_pyinstaller/hook-aiface_runtime.py").read_text(encoding="utf-8"))
    (taken,) = [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "collect_submodules"
        if isinstance(node.args[0], ast.Constant)
    ]
    assert import_module(f"{taken}.jpeg")

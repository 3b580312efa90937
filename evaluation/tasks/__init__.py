"""Named tasks: sources of the labelled photos that answer one question; each is a TOML file beside this module."""

from __future__ import annotations

import tomllib
from importlib.resources import files

from ..errors import DataError

_SUFFIX = ".toml"


def task_names() -> tuple[str, ...]:
    """Give the names of all tasks, sorted."""
    names = (file.name for file in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def task_sources(name: str) -> tuple[str, ...]:
    """Give the sources of a task.

    Raises:
        DataError: There is no such task.
    """
    if name not in task_names():
        raise DataError(f"{name}: is no task; there are {', '.join(task_names())}")
    task = tomllib.loads(files(__name__).joinpath(name + _SUFFIX).read_text(encoding="utf-8"))
    return tuple(task["sources"])

"""Where PyInstaller finds the hook of this package: by the entry point `hook-dirs` of group `pyinstaller40`."""

from __future__ import annotations

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """Return the folder of the hook."""
    return [str(Path(__file__).parent)]

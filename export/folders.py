"""Folders that are written as a whole or not at all, and those that a failed export leaves no trace of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from .errors import ExportError


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to write to, which becomes `folder` when the block succeeds; else nothing is left.

    Raises:
        ExportError: There is something in `folder` already, or it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder}: is there already and not an empty folder; name a new one")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".aiface-") as parent:
            draft = Path(parent) / folder.name
            draft.mkdir()
            yield draft
            if folder.exists():
                folder.rmdir()
            draft.rename(folder)
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written ({error.strerror or error})") from error


@contextmanager
def writable_folder(folder: Path) -> Iterator[None]:
    """See that files can be written to a folder, which is made where it is missing and goes when the block fails.

    Raises:
        OSError: It cannot be made, or not be written to.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder, prefix=".aiface-").close()
        yield
    except BaseException:  # a signal too
        for each in missing:
            with suppress(OSError):  # something else was written there, or it was never made
                each.rmdir()
        raise

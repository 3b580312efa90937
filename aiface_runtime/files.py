"""Files as a whole: their hash, and writing them so that a reader never sees half of one."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def sha256_of(files: Iterable[Path]) -> str:
    """Hash files as if they were one, in the given order.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to, which replaces `file` when the block succeeds.

    When the block raises, `file` stays as it was and nothing else is left in its folder.

    Raises:
        OSError: The folder cannot be written to.
    """
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".aiface-") as folder:
        draft = Path(folder) / file.name
        yield draft
        draft.replace(file)

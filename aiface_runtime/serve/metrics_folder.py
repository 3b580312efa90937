"""Where several processes write what they count; decided before prometheus_client is imported, which reads it then."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# prometheus_client's own variable: with it every process writes what it counts into files of that folder.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_counts(workers: int) -> Iterator[None]:
    """Have several processes count together, in a folder that is removed in the end.

    The environment is edited, which a library must not do: this is for the program `aiface serve` alone.
    """
    owner, before = os.getpid(), os.environ.pop(FOLDER_VARIABLE, None)
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="aiface-metrics-", dir=before, ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            if os.getpid() != owner:
                os._exit(1)  # a forked process that got here by an error must not remove the folder of the others

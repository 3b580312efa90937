"""A folder of photos on a pool of processes: a JSON record a photo.

    python examples/multiprocessing_folder.py photos/ > records.jsonl

`Classifier.predict_many` alone keeps all cores busy with threads. Processes are faster only where your own Python code
around each answer takes longer than the answer.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from functools import cache
from pathlib import Path
from typing import Any

from aiface_runtime import Classifier
from aiface_runtime.images import PHOTO_SUFFIXES


@cache
def classifier() -> Classifier:
    """Return this process's own classifier; one core, as the pool has a process a core."""
    return Classifier(threads=1)


def record(path: Path) -> dict[str, Any]:
    """Answer for one photo; a photo that cannot be used has a record too."""
    (answer,) = classifier().predict_many([path])
    return answer.to_record()


def main(folder: str) -> None:
    """Write the records to stdout, in the order of the paths."""
    photos = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    context = multiprocessing.get_context("spawn")  # as on Windows and macOS; no copy of the parent's threads and locks
    with context.Pool(initializer=classifier) as pool:
        for answer in pool.imap(record, photos, chunksize=8):
            print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])

"""Compare the throughput of a scan with that of `predict_many` on the same photos, in turns in one process.

    python -m benchmarks.scan_throughput FOLDER [--rounds N] [--threads N]

Copies of a photo would make a scan look faster than it is, for it answers them once: only the first is taken.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median

from aiface_runtime import Classifier
from aiface_runtime.files import sha256_of
from aiface_runtime.folders import photos_below
from aiface_runtime.latency import take_turns
from aiface_runtime.scan import ScanOptions, scan
from benchmarks.machine import machine


def main() -> None:
    """Print medians of photos a second, and the ratios to `predict_many`, as JSON."""
    parser = argparse.ArgumentParser(description="Compare a scan with predict_many")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    photos = distinct(args.folder)
    if not photos:
        parser.error(f"no photos in {args.folder}")
    seconds: dict[str, list[float]] = {}
    with Classifier(threads=args.threads) as classifier, tempfile.TemporaryDirectory() as name:
        threads = classifier.threads
        for task, taken in take_turns(_tasks(classifier, photos, Path(name)), args.rounds):
            seconds.setdefault(task, []).append(taken)
    rates = {task: len(photos) / median(times) for task, times in seconds.items()}
    ratios = {task: rate / rates["predict_many"] for task, rate in rates.items()}
    report = {"machine": machine(), "photos": len(photos), "rounds": args.rounds, "threads": threads}
    print(json.dumps(report | {"photos_per_second": rates, "ratio": ratios}, indent=2))


def _tasks(classifier: Classifier, photos: list[str], folder: Path) -> dict[str, Callable[[], object]]:
    anew = ScanOptions(overwrite=True)
    with_report = ScanOptions(overwrite=True, report=folder / "report.html")
    return {
        "predict_many": lambda: deque(classifier.predict_many(photos), maxlen=0),
        "scan to JSONL": lambda: scan(classifier, photos, folder / "out.jsonl", anew),
        "scan to CSV": lambda: scan(classifier, photos, folder / "out.csv", anew),
        "scan to JSONL with --report": lambda: scan(classifier, photos, folder / "shown.jsonl", with_report),
    }


def distinct(folder: Path) -> list[str]:
    """Return the photos below a folder without copies."""
    by_content = {}
    for photo in photos_below(str(folder)):
        if isinstance(photo, str):
            by_content.setdefault(sha256_of([Path(photo)]), photo)
    return sorted(by_content.values())


if __name__ == "__main__":
    main()

"""Measure the memory of `predict_many` by batch size, each in a process of its own; prints a Markdown table."""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys

from aiface_runtime import Classifier
from aiface_runtime.latency import encoded, photo

_SIZES = (1, 16, 32, 128, 512)
_ROUNDS = 3  # batches of each size


def main() -> int:
    """Print a table, or with `--batch-size` the peak of this process in MB."""
    parser = argparse.ArgumentParser(prog="scripts/memory_by_batch.py", description=(__doc__ or "").split(";")[0])
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="cores to use (default: 1)")
    parser.add_argument("--batch-size", type=int, metavar="N", help="measure this one alone")
    args = parser.parse_args()
    if args.batch_size:
        sys.stdout.write(f"{_peak(args.batch_size, args.threads)}\n")
        return 0
    sys.stdout.write("| batch size | peak memory, MB |\n|---|---|\n")
    for size in _SIZES:
        command = [sys.executable, __file__, "--threads", str(args.threads), "--batch-size", str(size)]
        peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
        sys.stdout.write(f"| {size} | {peak} |\n")
    return 0


def _peak(batch_size: int, threads: int) -> int:
    data = encoded(photo(178, 218))
    with Classifier(device="cpu", threads=threads) as classifier:
        photos = itertools.repeat(data, _ROUNDS * batch_size)
        for _ in classifier.predict_many(photos, batch_size=batch_size, on_error="raise"):
            pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())

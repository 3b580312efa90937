"""Measure start-up and latency of this runtime beside an older checkout's, in turn; prints a Markdown table."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parents[1]
_ROUNDS = 9  # processes of each
_TIMED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
start = time.perf_counter()
from aiface_runtime import Classifier
imported = time.perf_counter()
classifier = Classifier(sys.argv[2], device="cpu", threads=1)
opened = time.perf_counter()
classifier.predict(Path(sys.argv[3]))
first = time.perf_counter()
for _ in range(50):
    classifier.predict(Path(sys.argv[3]))
print(opened - imported, first - start, (time.perf_counter() - first) / 50)
"""


def main() -> int:
    """Print a table of milliseconds."""
    parser = argparse.ArgumentParser(prog="scripts/startup_cost.py", description=(__doc__ or "").split(";")[0])
    parser.add_argument("older", type=Path, help="checkout to compare with, which must read the bundled file")
    parser.add_argument("photo", type=Path, help="photo to predict")
    args = parser.parse_args()
    trees = {"older": args.older.resolve(), "this": _HERE}
    times: dict[str, list[list[float]]] = {name: [] for name in trees}
    for _ in range(_ROUNDS):
        for name, tree in trees.items():
            times[name].append(_measure(tree, args.photo))
    sys.stdout.write("| checkout | open, ms | import to first answer, ms | photo to answer, ms |\n|---|---|---|---|\n")
    for name, rows in times.items():
        medians = (f"{1000 * statistics.median(column):.1f}" for column in zip(*rows, strict=True))
        sys.stdout.write(f"| {name} | {' | '.join(medians)} |\n")
    return 0


def _measure(tree: Path, photo: Path) -> list[float]:
    command = [sys.executable, "-P", "-c", _TIMED, str(tree), str(_HERE / "models" / "aiface-lite0.onnx"), str(photo)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return [float(word) for word in done.stdout.split()]


if __name__ == "__main__":
    sys.exit(main())

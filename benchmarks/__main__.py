"""`python -m benchmarks`: this library beside what else gives the same answer, on this machine.

Each task's results are kept in a file as soon as it is done, and a run that was cut off goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from aiface_runtime.engine import Engine
from aiface_runtime.preprocess import min_decode_size

from . import footprint, limits, models, report, tasks
from . import synthetic_photos as photos
from .subjects import FILE

_RESULTS = Path(__file__).parent / "results" / "latency.json"
_PACKAGES = (
    "aiface numpy pillow onnxruntime torch transformers optimum optimum-onnx openvino tensorflow keras ai-edge-litert"
)
_IMPORTS = {
    "aiface_runtime": "from aiface_runtime import Classifier",
    "onnxruntime": "import numpy, PIL.Image, onnxruntime",
    "transformers pipeline": "from transformers import pipeline",
    "optimum": "from optimum.onnxruntime import ORTModelForImageClassification",
    "openvino": "import openvino",
    "keras": "import keras",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is missing, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/bench"), help="where models and photos are made")
    parser.add_argument("--results", type=Path, default=_RESULTS, metavar="FILE.json", help="where results are kept")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="times each is measured (default: 15)")
    parser.add_argument("--photos", type=int, default=2000, metavar="N", help="in the folder (default: 2000)")
    parser.add_argument("--only", action="append", metavar="TASK", help="tasks whose name starts so")
    parser.add_argument("--again", action="store_true", help="measure again what --only names")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="put the tables between the page's marks")
    args = parser.parse_args(argv)
    if args.output and not args.output.is_file():  # now, not after half an hour of measuring
        parser.error(
            f"--output {args.output}: there is no such page; the tables go between the marks of docs/benchmarks.md"
        )
    args.work.mkdir(parents=True, exist_ok=True)
    kept = args.results
    results: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    results["problems"] = models.make(args.work / "models", models.NAMES)
    results["machine"] = limits.machine() | {"versions": _versions(), "rounds": args.rounds}
    measures = _tasks(args.work, args.rounds, args.photos)
    for name, measure in measures.items():
        wanted = not args.only or name.startswith(tuple(args.only))
        if not wanted or (name in results and not (args.again and args.only)):
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        results[name] = measure()
        kept.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    report.write(results, [name for name in measures if name not in results], args.output)
    return 0


def _tasks(work: Path, rounds: int, count: int) -> dict[str, Callable[[], Any]]:
    kinds = photos.make(work / "photos")
    sizes = photos.make_sizes(work / "photos")
    found: dict[str, Callable[[], Any]] = {"limits": lambda: _limits(work, rounds)}
    for model in models.NAMES:
        folder = work / "models" / model
        few = rounds if model == "bundled" else max(5, rounds // 3)
        found[f"answers {model}"] = lambda model=model, folder=folder, few=few: tasks.answers(
            model, folder, kinds, 1, few
        )
        for threads in (1, 2):
            found[f"model {model} {threads}"] = lambda model=model, folder=folder, threads=threads, few=few: (
                tasks.model_only(model, folder, (1, 8, 32) if model == "bundled" else (1, 8), threads, few)
            )
    bundled, small = work / "models" / "bundled", kinds["178x218.jpg"]
    found["paced"] = lambda: tasks.paced("bundled", bundled, small, max(3, rounds // 3))
    found["cold start"] = lambda: tasks.cold_start("bundled", bundled, small, max(3, rounds // 3))
    found["imports"] = lambda: tasks.imports(_IMPORTS, max(3, rounds // 3))
    found["folder"] = lambda: tasks.folder_throughput(
        "bundled", bundled, photos.make_folder(work / "folder", count), 3, count // 10
    )
    found["size"] = lambda: tasks.size_cost("bundled", bundled, sizes, max(3, rounds // 3))
    found["footprint"] = footprint.measure
    return found


def _limits(work: Path, rounds: int) -> dict[str, Any]:
    kinds = photos.make(work / "photos")
    work_of = {}
    for model in models.NAMES:
        if (file := work / "models" / model / FILE).exists():
            size, gflop = models.weights_and_work(file)
            work_of[model] = {"size": size, "gflop": gflop}
    least = min_decode_size(Engine(work / "models" / "bundled" / FILE, "cpu").manifest)
    decoding = {name: limits.decoding(file, least, rounds) for name, file in kinds.items()}
    return {"peaks": limits.peaks(rounds), "work": work_of, "decoding_ms": decoding}


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES.split():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks`: this library beside what else gives the same answer, on this machine.

Each task's results are written to a file as soon as it is done, and a run that was cut off goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

from aiface_runtime.engine import Engine
from aiface_runtime.preprocess import min_decode_size

from . import footprint, limits, models, report, tasks
from . import synthetic_photos as photos
from .machine import machine
from .measurement import Measurement
from .processes import Comparison
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
_FOLDER_ROUNDS = 3
Task = Callable[[], Any]


class _Work(TypedDict):
    size: int
    gflop: float


class _Limits(TypedDict):
    peaks: Mapping[str, float | str]
    work: Mapping[str, _Work]
    decoding_ms: Mapping[str, float]


@dataclass(frozen=True)
class Settings:
    """What the command line sets for every task.

    Attributes:
        work: Folder where models and photos are made.
        rounds: Number of times that each subject of the bundled model is measured.
        photos: Number of photos in the folder.
    """

    work: Path
    rounds: int
    photos: int

    def model(self, name: str) -> Path:
        """Return a model's folder."""
        return self.work / "models" / name

    def fewer(self, minimum: int) -> int:
        """Return the rounds of what takes long."""
        return max(minimum, self.rounds // 3)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is missing, then write the page."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.output:  # checked now, not after half an hour of measuring
        try:
            report.section(args.output).surroundings()
        except ValueError as error:
            parser.error(f"--output {error}; the tables go between the marks of docs/benchmarks.md")
    results: dict[str, Any] = json.loads(args.results.read_text(encoding="utf-8")) if args.results.exists() else {}
    planned = _tasks(Settings(args.work, args.rounds, args.photos))
    if args.from_results:
        if not results:
            parser.error(f"--from-results: {args.results} holds no results")
    else:
        _measure(args, planned, results)
    report.write(results, [name for name in planned if name not in results], args.output)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/bench"), help="where models and photos are made")
    parser.add_argument(
        "--results", type=Path, default=_RESULTS, metavar="FILE.json", help="where results are recorded"
    )
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="times each is measured (default: 15)")
    parser.add_argument("--photos", type=int, default=2000, metavar="N", help="in the folder (default: 2000)")
    parser.add_argument("--only", action="append", metavar="TASK", help="tasks whose name starts so")
    parser.add_argument("--again", action="store_true", help="measure again what --only names")
    parser.add_argument("--from-results", action="store_true", help="measure nothing: the tables of recorded results")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="put the tables between the page's marks")
    return parser


def _measure(args: argparse.Namespace, planned: Mapping[str, Task], results: dict[str, Any]) -> None:
    """Add what is missing to the results and their file, task by task."""
    args.work.mkdir(parents=True, exist_ok=True)
    results["problems"] = models.make(args.work / "models", models.NAMES)
    results["machine"] = {**machine(), "versions": _versions(), "rounds": args.rounds}
    for name, measure in planned.items():
        is_selected = not args.only or name.startswith(tuple(args.only))
        if not is_selected or (name in results and not (args.again and args.only)):
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        results[name] = json.loads(json.dumps(measure(), default=Measurement.to_json))
        args.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _tasks(settings: Settings) -> dict[str, Task]:
    bundled = Comparison.of_all("bundled", settings.model("bundled"))
    rounds = settings.fewer(3)
    planned: dict[str, Task] = {"limits": partial(_limits, settings)}
    for model in models.NAMES:
        planned |= _model_tasks(settings, model)
    planned["paced"] = lambda: tasks.paced(bundled, _small(settings), rounds)
    planned["cold start"] = lambda: tasks.cold_start(bundled, _small(settings), rounds)
    planned["imports"] = lambda: tasks.imports(_IMPORTS, rounds)
    planned["folder"] = lambda: tasks.folder_throughput(
        bundled,
        photos.make_folder(settings.work / "folder", settings.photos),
        _FOLDER_ROUNDS,
        others=settings.photos // 10,
    )
    planned["size"] = lambda: tasks.size_cost(bundled, photos.make_sizes(settings.work / "photos"), rounds)
    planned["footprint"] = footprint.measure
    return planned


def _model_tasks(settings: Settings, model: str) -> dict[str, Task]:
    comparison = Comparison.of_all(model, settings.model(model))
    rounds, batches = (settings.rounds, (1, 8, 32)) if model == "bundled" else (settings.fewer(5), (1, 8))
    return {
        f"answers {model}": lambda: tasks.answers(comparison, photos.make(settings.work / "photos"), 1, rounds),
        **{
            f"model {model} {threads}": partial(tasks.model_only, comparison, batches, threads, rounds)
            for threads in (1, 2)
        },
    }


def _small(settings: Settings) -> Path:
    return photos.make(settings.work / "photos")["178x218.jpg"]


def _limits(settings: Settings) -> _Limits:
    files = {name: file for name in models.NAMES if (file := settings.model(name) / FILE).exists()}
    sizes_and_work = {name: models.weights_and_work(file) for name, file in files.items()}
    min_size = min_decode_size(Engine(files["bundled"], "cpu").manifest)
    kinds = photos.make(settings.work / "photos")
    return {
        "peaks": limits.peaks(settings.rounds),
        "work": {name: {"size": size, "gflop": gflop} for name, (size, gflop) in sizes_and_work.items()},
        "decoding_ms": {name: limits.decoding(file, min_size, settings.rounds) for name, file in kinds.items()},
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES.split():
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


if __name__ == "__main__":
    sys.exit(main())

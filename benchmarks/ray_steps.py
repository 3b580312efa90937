"""What `benchmarks.ray_throughput` starts: a job of `aiface_runtime.ray` step by step, and what each step takes.

    python -m benchmarks.ray_steps FOLDER PHOTOS NAMES

FOLDER has the photos in `photos/`, and gets the output; the last line of stdout is JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tarfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.data import Dataset

_SHARDS = 10


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name], self._last = now - self._last, now


def main() -> None:
    """Run the steps, and print what they took."""
    folder, photos, names = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    clock = _Clock()
    import ray

    ray.init("local", include_dashboard=False, logging_level="error", log_to_driver=False)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    clock.lap("start of the cluster")
    from aiface_runtime.ray import classify

    answers = classify(str(folder / "photos"), concurrency=2)
    clock.lap("model opened, photos listed")
    rates = {"single files": _consume(answers, photos, clock)}
    sizes = _written(folder, photos, clock)
    _shards(folder)
    no_core = {"num_cpus": 0}  # for two actors hold both
    shards = ray.data.read_webdataset(str(folder / "shards"), decoder=None, **no_core)
    rates["tar shards, WebDataset"] = _consume(
        classify(shards, column="jpg", id_column="__key__", concurrency=2), photos
    )
    files = ray.data.read_binary_files(str(folder / "photos"), include_paths=True, **no_core, concurrency=2)
    rates["single files, by `read_binary_files`"] = _consume(classify(files, concurrency=2), photos)
    versions = ", ".join(f"{name} {version(name)}" for name in ("ray", "pyarrow", "onnxruntime"))
    found = {"seconds": clock.seconds, "rates": rates, **sizes, "listing": _listing(names), "versions": versions}
    ray.shutdown()
    print(json.dumps(found))


def _consume(answers: Dataset, photos: int, clock: _Clock | None = None) -> float:
    """Return the photos a second between the first block of answers and the last."""
    started, first, early, done = time.monotonic(), 0.0, 0, 0
    for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
        done += batch.num_rows
        if not first:
            first, early = time.monotonic(), batch.num_rows
    ended = time.monotonic()
    if done != photos:
        raise RuntimeError(f"{done} answers for {photos} photos")
    if clock:
        clock.seconds |= {"until the first block of answers": first - started, "all other answers": ended - first}
    return (done - early) / (ended - first)


def _written(folder: Path, photos: int, clock: _Clock) -> dict[str, float]:
    """Return the bytes that a photo takes in the output of a command that ended before."""
    clock.lap("")
    del clock.seconds[""]
    parts = next(folder.glob("aiface_runtime.ray-0"))
    ids = parts.with_name(parts.name + ".checkpoint")
    return {
        "answer_bytes": sum(path.stat().st_size for path in parts.iterdir()) / photos,
        "checkpoint_bytes": sum(path.stat().st_size for path in ids.iterdir()) / photos,
    }


def _shards(folder: Path) -> None:
    paths = sorted(folder.glob("photos/*/*"))
    folder.joinpath("shards").mkdir()
    for number in range(_SHARDS):
        with tarfile.open(folder / f"shards/{number}.tar", "w", dereference=True) as shard:
            for path in paths[number::_SHARDS]:
                shard.add(path, f"{path.stem}.jpg")


def _listing(names: int) -> dict[str, float]:
    """Measure what the program that lists photos takes for each name, without the store's own time."""
    from aiface_runtime.ray.listing import Listing

    before, started = _resident(), time.monotonic()
    listing = Listing((f"s3://bucket/photos/{number:012}.jpg" for number in range(names)), 128)
    tasks = listing.get_read_tasks(1)
    taken = time.monotonic() - started
    held = _resident() - before + listing.estimate_inmemory_data_size()  # which Ray's object store holds
    return {"names_per_second": names / taken, "bytes_per_name": held / names, "tasks": len(tasks)}


def _resident() -> int:
    """Return the bytes that this process alone holds."""
    resident, shared = Path("/proc/self/statm").read_text(encoding="utf-8").split()[1:3]
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()

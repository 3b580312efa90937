"""A Ray cluster of a head and two nodes with a core each, in processes of this machine, and photos with answers.

Skipped where Ray is missing; `make test` runs them in an environment of their own.
"""

from __future__ import annotations

import io
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from aiface_runtime import Classifier
from tests.support import paint

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

PHOTOS = 240
MARK = "AIFACE_TEST_CLUSTER"  # in the environment of the cluster's processes, so that no others are ended

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", MARK: uuid.uuid4().hex, "RAY_BACKEND_LOG_LEVEL": "fatal"}


@pytest.fixture(scope="session", autouse=True)
def ray_environment() -> None:
    pytest.importorskip("ray", reason="ray is not installed: the Makefile's .venv/ray has it")


@pytest.fixture(scope="session")
def cluster(ray_environment: None) -> Iterator[Cluster]:
    import ray
    from ray.cluster_utils import Cluster

    store = {"object_store_memory": 80 * 2**20}
    running = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **store})
    for _ in range(2):
        running.add_node(num_cpus=1, **store)
    ray.init(running.address, logging_level="error", log_to_driver=False)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield running
    ray.shutdown()
    running.shutdown()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, each with an answer of its own, and some that cannot be used, under names that are hard."""
    top = tmp_path_factory.mktemp("photos")
    for number in range(PHOTOS):
        part = top / f"{number % 3}"
        part.mkdir(exist_ok=True)
        part.joinpath(f"{number:04}.jpg").write_bytes(picture(number))
    top.joinpath("=1+1.jpg").write_bytes(picture(1000))
    top.joinpath("a\nb.jpg").write_bytes(picture(1001))
    top.joinpath("a\\nb.jpg").write_bytes(picture(1002))
    Path(os.fsdecode(os.fsencode(top) + b"/\xff.jpg")).write_bytes(picture(1003))
    top.joinpath("empty.jpg").write_bytes(b"")
    top.joinpath("no.jpg").write_bytes(b"no photo")
    top.joinpath("dangling.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(top / "pipe.jpg")
    with top.joinpath("huge.jpg").open("wb") as file:
        file.truncate(10 * 2**30)  # of zeros that nobody writes
    return top


def picture(number: int) -> bytes:
    """Paint a picture of its own for each number."""
    buffer = io.BytesIO()
    paint(np.random.default_rng(number), 500, 600, ai=number % 2 == 1).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def expected(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of `predict_many` for all photos of the folder, by name."""
    from aiface_runtime.folders import photos_below

    names = [photo for photo in photos_below(str(folder)) if isinstance(photo, str)]
    with Classifier(device="cpu", threads=1) as classifier:
        records = [answer.to_record() for answer in classifier.predict_many(names)]
    assert sum(record["error"] is None for record in records) == PHOTOS + 4
    return {record["input"]: dict(record) for record in records}


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for what other processes do."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def actors() -> list[int]:
    """Return the processes of this cluster's actors that answer."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _is_actor(path, mark)]


def _is_actor(path: Path, mark: bytes) -> bool:
    try:
        return b"MapBatches(Answer)" in (path / "cmdline").read_bytes() and mark in (path / "environ").read_bytes()
    except OSError:
        return False

"""What dies in the middle of a job costs no photo and doubles none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aiface_runtime.ray import classify

from .conftest import actors, wait_until
from .test_classify import check, records

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster
    from ray.data import Dataset

pytestmark = pytest.mark.filterwarnings("default")


def written(folder: Path) -> Dataset:
    import ray

    return ray.data.read_parquet(str(folder))


class Job:
    """Writes answers in a thread; parts have few rows, so that there are some in the middle of the job."""

    def __init__(self, answers: Dataset, output: Path) -> None:
        self._answers, self._output = answers, output
        self._thread = threading.Thread(target=self._run)
        self._error: Exception | None = None
        self._thread.start()
        wait_until(lambda: len(list(output.glob("*.parquet"))) >= 3)
        assert self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._answers.write_parquet(str(self._output), ray_remote_args={"num_cpus": 0}, concurrency=2)
        except Exception as error:  # noqa: BLE001 whatever it is
            self._error = error

    def wait(self) -> None:
        self._thread.join(120)
        assert not self._thread.is_alive(), "it hangs"
        assert self._error is None


def test_an_actor_dies(cluster: Cluster, folder: Path, tmp_path: Path, expected: dict[str, dict[str, Any]]) -> None:
    job = Job(classify(folder, batch_size=8, concurrency=2), tmp_path / "out")
    os.kill(actors()[0], signal.SIGKILL)
    job.wait()
    check(records(written(tmp_path / "out")), expected)


@pytest.mark.parametrize("concurrency", [None, 2])
def test_a_node_is_lost(
    cluster: Cluster, folder: Path, tmp_path: Path, expected: dict[str, dict[str, Any]], concurrency: int | None
) -> None:
    job = Job(classify(folder, batch_size=8, concurrency=concurrency), tmp_path / "out")
    lost = next(iter(cluster.worker_nodes))
    cluster.remove_node(lost, allow_graceful=False)
    job.wait()
    check(records(written(tmp_path / "out")), expected)
    cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)


def test_the_program_is_killed_and_goes_on(
    cluster: Cluster, folder: Path, tmp_path: Path, expected: dict[str, dict[str, Any]]
) -> None:
    command = [sys.executable, "-P", "-m", "aiface_runtime.ray", str(folder), str(tmp_path / "out"),
               "--address", cluster.address, "--batch-size", "8", "--rows-per-file", "8"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    wait_until(lambda: len(list(tmp_path.glob("out/*.parquet"))) >= 3)
    process.kill()
    process.communicate()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (
        2,
        f"aiface: {tmp_path}/out: exists; --resume goes on with it, or give another name\n",
    )
    done = subprocess.run([*command, "--resume", "--concurrency", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "were there" in done.stderr, done.stderr
    assert "; 0 were there" not in done.stderr
    assert not done.stderr.splitlines()[-1].startswith("aiface: 0 answered")  # it was killed in the middle
    check(records(written(tmp_path / "out")), expected)

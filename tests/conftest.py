"""What the tests share: photos that they make, the photos beside the project where they are, and a tiny model."""

from __future__ import annotations

import gc
import os
import signal
from importlib import util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from tests.support import SHARED, paint

# Garbage of earlier tests can hold onnxruntime sessions, which must not be collected in a forked child: their end would
# wait for threads that only the parent has.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gc.collect)

# A shell has what it starts in its background ignore SIGINT, and so would the programs that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    packages = (
        "numpy",
        "pillow",
        "onnxruntime",
        "onnx",
        "torch",
        "transformers",
        "optimum-onnx",
        "keras",
        "tensorflow",
    )
    data = "present" if SHARED.joinpath("data").is_dir() else "ABSENT: tests on real faces are skipped"
    return [" ".join(f"{package}-{_version(package)}" for package in packages), f"../shared/data: {data}"]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # not every environment has every framework
        return "absent"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The face photos beside the project."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not here: no real faces to test on")
    return folder


@pytest.fixture(scope="session")
def portrait() -> Path:
    """A real, public-domain portrait that matplotlib ships."""
    spec = util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder train|val / real|ai of pictures that the tests paint: 24 a label for train, 8 for val."""
    root = tmp_path_factory.mktemp("painted")
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 8)):
        for label in ("real", "ai"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                width, height = rng.integers(80, 160, 2)
                paint(rng, int(width), int(height), ai=label == "ai").save(folder / f"{number}.png")
    return root

"""What an installation takes on disk."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TypedDict

_ROOT = Path(__file__).resolve().parents[1]
_DEPENDENCIES = (
    "numpy",
    "pillow",
    "onnxruntime",
    "torch",
    "transformers",
    "optimum",
    "openvino",
    "tensorflow",
    "keras",
)


class Footprint(TypedDict):
    """Megabytes of this library's wheel, packed and unpacked, and of other packages by name."""

    wheel_mb: float
    installed_mb: float
    others_mb: dict[str, float]


def measure() -> Footprint:
    """Return megabytes of this library's wheel, packed and unpacked, and of the packages that subjects need."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(_ROOT)]
        subprocess.run(command, check=True, capture_output=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        return {
            "wheel_mb": wheel.stat().st_size / 1e6,
            "installed_mb": unpacked / 1e6,
            "others_mb": {name: size for name in _DEPENDENCIES if (size := _installed(name))},
        }


def _installed(name: str) -> float | None:
    try:
        listed = files(name) or []
    except PackageNotFoundError:
        return None
    paths = [Path(str(file.locate())) for file in listed]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6

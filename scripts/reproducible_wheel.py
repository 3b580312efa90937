"""Build the wheel of the last commit twice, in different surroundings, and see that both are the same to the byte.

What it prints is the wheel's SHA-256 and name; it lies in the folder that is named. Times in it are the commit's.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def main() -> int:
    """Build, compare and keep the wheel."""
    parser = argparse.ArgumentParser(prog="scripts/reproducible_wheel.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "output", type=Path, nargs="?", default=Path("dist"), help="folder for the wheel (default: dist)"
    )
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        first = _build(Path(folder) / "first", {"TZ": "UTC", "PYTHONHASHSEED": "1"})
        second = _build(Path(folder) / "the second", {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "2"})
        data = first.read_bytes()
        if (first.name, data) != (second.name, second.read_bytes()):
            sys.stderr.write(f"{first.name}: two builds differ\n")
            return 1
    output.mkdir(parents=True, exist_ok=True)
    (output / first.name).write_bytes(data)
    sys.stdout.write(f"{hashlib.sha256(data).hexdigest()}  {first.name}\n")
    return 0


def _build(folder: Path, settings: dict[str, str]) -> Path:
    """Build the wheel of the last commit in a new folder; file modes are those of the commit, not of a checkout."""
    sources, wheels = folder / "sources", folder / "wheels"
    wheels.mkdir(parents=True)
    with tarfile.open(fileobj=BytesIO(_git("-c", "tar.umask=0022", "archive", "HEAD"))) as archive:
        archive.extractall(sources, filter="fully_trusted")  # noqa: S202 ours; other filters change modes
    epoch = _git("show", "-s", "--format=%ct", "HEAD").decode().strip()
    environment = os.environ | settings | {"SOURCE_DATE_EPOCH": epoch}
    before = os.umask(0o022)  # modes of files are part of a wheel
    try:
        command = [sys.executable, "-c", _BUILD, str(wheels)]
        subprocess.run(command, cwd=sources, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    finally:
        os.umask(before)
    (wheel,) = wheels.glob("*.whl")
    return wheel


def _git(*words: str) -> bytes:
    return subprocess.run(["git", "-C", str(_ROOT), *words], check=True, capture_output=True).stdout  # noqa: S603, S607


if __name__ == "__main__":
    sys.exit(main())

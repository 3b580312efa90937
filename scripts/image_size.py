"""Work out how large the image of the Dockerfile is, by the sum of its layers, where it cannot be built.

python scripts/image_size.py

The base image holds Debian packages and nothing else of weight; what pip installs is installed into a folder, pruned
as the Dockerfile does it, and measured, with the bytecode that the running Python makes of it. Sizes are of files as
they are unpacked, in MB of 10**6 bytes; what a registry stores is compressed.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
import tempfile
from pathlib import Path

from prune_site_packages import prune

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 250.0  # MB
PYTHON, PLATFORMS = "3.13", ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64")
# Packages of gcr.io/distroless/python3-debian13 (amd64), as base/, cc/ and python3/config.bzl of its repository
# (GoogleContainerTools/distroless) list them; their Installed-Size in KiB in Debian 13's index: apt-cache show NAME.
BASE_IMAGE = {
    "base-files": 500, "netbase": 35, "tzdata": 1360, "media-types": 98, "ca-certificates": 387, "libc6": 13223,
    "libssl3t64": 8125, "libzstd1": 847, "zlib1g": 172, "libgomp1": 368, "libstdc++6": 3019, "libgcc-s1": 197,
    "gcc-14-base": 112, "libbz2-1.0": 96, "libdb5.3t64": 1854, "libexpat1": 427, "liblzma5": 435,
    "libsqlite3-0": 1834, "libuuid1": 98, "libncursesw6": 419, "libtinfo6": 569, "libcom-err2": 64, "libcrypt1": 234,
    "libgssapi-krb5-2": 434, "libk5crypto3": 266, "libkeyutils1": 41, "libkrb5-3": 1074, "libkrb5support0": 137,
    "libnsl2": 132, "libreadline8t64": 485, "libtirpc3t64": 236, "libffi8": 72, "libpython3.13-minimal": 5452,
    "libpython3.13-stdlib": 8898, "python3.13-minimal": 6768, "python3.13-venv": 27,
}  # fmt: skip


def installed(folder: Path) -> None:
    """Install the project and its extras as the Dockerfile does, for the image's Python."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    with tempfile.TemporaryDirectory() as wheels:
        _run(*pip, "wheel", "--no-deps", "--wheel-dir", wheels, str(ROOT))
        wheel = next(Path(wheels).glob("*.whl"))
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        target = [
            "--target",
            str(folder),
            "--python-version",
            PYTHON,
            *platforms,
            "--only-binary=:all:",
            "--no-compile",
        ]
        _run(*pip, "install", *target, f"{wheel}[cpu,serve]")
    prune(folder)
    compileall.compile_dir(folder, quiet=2)


def megabytes(folder: Path) -> float:
    """Return the size of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e6


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 pip


def main() -> int:
    """Print the layers; 1 where they are more than the limit."""
    layers = {"base image": sum(BASE_IMAGE.values()) * 1024 / 1e6}
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        installed(site)
        layers |= {"  " + path.name: megabytes(path) for path in sorted(site.iterdir()) if path.is_dir()}
        layers = {name: size for name, size in layers.items() if size >= 1 or name == "base image"}
        layers["packages and model"] = megabytes(site)
    total = layers["base image"] + layers["packages and model"]
    for name, size in {**layers, "image": total}.items():
        sys.stdout.write(f"{name:24} {size:7.1f} MB\n")
    return int(total > LIMIT)


if __name__ == "__main__":
    sys.exit(main())

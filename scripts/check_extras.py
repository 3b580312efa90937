"""Install the last commit's wheel with each extra alone, in fresh environments; run the first command that needs it.

    python scripts/check_extras.py                  # all extras that are small
    python scripts/check_extras.py cpu evaluate     # some; also the large ones: gpu, openvino, export, train

It prints what failed, and at the end what `[cpu]` takes on disk, by distribution. Exit code 1 when an extra failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PORTRAIT = "import matplotlib.cbook as c; print(c.get_sample_data('grace_hopper.jpg', asfileobj=False))"
_SIZES = """
from importlib.metadata import distributions
for found in sorted(distributions(), key=lambda found: found.name.lower()):
    size = sum(path.stat().st_size for file in found.files or () if (path := found.locate_file(file)).is_file())
    print(f"{found.name} {found.version}: {size / 1e6:.1f} MB")
"""


@dataclass(frozen=True)
class Check:
    """What proves an extra.

    Attributes:
        extras: Extras to install, more than one only where the extra brings no onnxruntime, which answering needs.
        command: Command for the shell; `$photo` is a photo, and the checkout the current folder's `checkout`.
        is_small: Whether it takes little enough to be checked by default.
    """

    extras: str
    command: str
    is_small: bool = True


_FOLDER = "mkdir -p photos/real photos/ai && cp $photo photos/real && cp $photo photos/ai/other.jpg"
_DEMO = (
    "aiface demo --port 0 > address & page=$!; trap 'kill $page' EXIT; "
    "for _ in $(seq 120); do [ -s address ] && break; sleep 1; done; "
    "python -c 'import sys, urllib.request as u; assert b\"aiface\" in u.urlopen(sys.argv[1]).read()' $(cat address)"
)
_SERVE = (
    "aiface serve --port 8123 & service=$!; trap 'kill $service' EXIT; for _ in $(seq 60); do "
    'python -c \'import sys, urllib.request as u; print(u.urlopen(u.Request("http://127.0.0.1:8123/v1/predict", '
    'open(sys.argv[1], "rb"), {"Content-Type": "image/jpeg"})).read())\' $photo && exit; sleep 1; done; exit 1'
)
CHECKS = {
    "cpu": Check("cpu", "aiface predict $photo --format jsonl && aiface explain $photo -o map.png && aiface doctor"),
    "gpu": Check("gpu", "aiface predict $photo", is_small=False),
    "openvino": Check("openvino", "aiface predict $photo --device openvino", is_small=False),
    "webgpu": Check("cpu,webgpu", "aiface predict $photo && aiface doctor | grep 'onnxruntime_ep_webgpu (WebGpu'"),
    "heic": Check(
        "cpu,heic",
        "python -c 'import sys, pillow_heif as h; h.register_heif_opener(); from PIL import Image; "
        'Image.open(sys.argv[1]).save("a.heic")\' $photo && aiface predict a.heic',
    ),
    "c2pa": Check("cpu,c2pa", "aiface provenance $photo && aiface predict --provenance $photo"),
    "parquet": Check("cpu,parquet", f"{_FOLDER} && aiface scan photos -o answers.parquet"),
    "demo": Check("cpu,demo", _DEMO),
    "serve": Check("cpu,serve", _SERVE),
    "ray": Check("cpu,ray", f"{_FOLDER} && python -m aiface_runtime.ray photos answers"),
    "evaluate": Check("cpu,evaluate", f"{_FOLDER} && aiface-evaluate aiface-lite0 photos/ -o report/"),
    "sample": Check("cpu,sample", f'aiface predict "$(python -c "{_PORTRAIT}")"'),
    "examples": Check("cpu,examples", "python checkout/examples/multiprocessing_folder.py ."),
    "docs": Check("docs", "mkdocs build --strict -f $(readlink -f checkout)/mkdocs.yml -d $PWD/site"),
    "export": Check("cpu,export", "aiface-export --help", is_small=False),
    "train": Check("cpu,train", "aiface-train --help", is_small=False),
}


def main() -> int:
    """Check the extras that are named, or all that are small."""
    parser = argparse.ArgumentParser(description="Check the wheel with each extra alone.")
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help=f"of {', '.join(CHECKS)} (default: the small ones)")
    names = parser.parse_args().extras or [name for name, check in CHECKS.items() if check.is_small]
    if unknown := set(names) - set(CHECKS):
        parser.error(f"no check of {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    with tempfile.TemporaryDirectory() as folder:
        wheel = _build(Path(folder))
        failed = [name for name in names if not _holds(name, wheel, Path(folder) / name)]
    return 1 if failed else 0


def _build(folder: Path) -> Path:
    """Build the wheel of the last commit."""
    _run([sys.executable, str(ROOT / "scripts/reproducible_wheel.py"), str(folder)], folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _holds(name: str, wheel: Path, folder: Path) -> bool:
    """Install one extra and run its command, in a folder that has nothing of the checkout but a link to it."""
    check = CHECKS[name]
    folder.mkdir()
    (folder / "checkout").symlink_to(ROOT)
    photo = subprocess.run([sys.executable, "-c", _PORTRAIT], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    try:
        _run([sys.executable, "-m", "venv", "env"], folder)
        _run(
            ["env/bin/python", "-m", "pip", "install", "--quiet", f"aiface[{check.extras}] @ {wheel.as_uri()}"], folder
        )
        _run(["bash", "-euc", f'export PATH="$PWD/env/bin:$PATH" photo={photo}; {check.command}'], folder)
    except subprocess.CalledProcessError as error:
        print(f"{name}: failed: {check.command}\n{error.stdout}{error.stderr}", file=sys.stderr)  # noqa: T201
        return False
    print(f"{name}: {check.command}")  # noqa: T201
    if name == "cpu":
        print(_run(["env/bin/python", "-c", _SIZES], folder), end="")  # noqa: T201
    return True


def _run(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())

"""A wheel that holds one model file, which `Classifier("large")` finds by the wheel's entry point."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

from aiface_runtime import __version__
from aiface_runtime.catalog import GROUP
from aiface_runtime.engine import Engine
from aiface_runtime.errors import AifaceError
from aiface_runtime.files import atomic_write, sha256_of
from aiface_runtime.manifest import Manifest

from ..errors import ExportError
from ..model_card import card

NAME, DISTRIBUTION, PACKAGE = "large", "aiface-large", "aiface_large"
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?")  # PEP 440's canonical form
_BUILD = (
    *("-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
    *("--no-deps", "--no-build-isolation", "--no-index"),
)
_PYPROJECT = '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
_SETUP = f"""[metadata]
name = {DISTRIBUTION}
version = {{version}}
description = The accurate model of aiface, found by Classifier("{NAME}")
long_description = file: {PACKAGE}/{DISTRIBUTION}.md
long_description_content_type = text/markdown
license_files = LICENSE*

[options]
python_requires = >=3.11
packages = {PACKAGE}
install_requires = aiface>={{aiface}}

[options.package_data]
{PACKAGE} = *.onnx, *.md, index.json

[options.entry_points]
{GROUP} =
    {NAME} = {PACKAGE}
"""


def build_wheel(model: Path, output: Path) -> Path:
    """Build the wheel `aiface-large` around a model file, without network.

    Its version is that of the model's manifest. The same file gives the same bytes where SOURCE_DATE_EPOCH is set.

    Args:
        model: The `.onnx` file, by `aiface-export`.
        output: Folder for the wheel, made where it is not there; a wheel of the same version is replaced.

    Returns:
        The path of the wheel.

    Raises:
        ExportError: The file is not a model with a manifest, its version is none of Python's, there is no build
            backend, or the folder cannot be written to.
    """
    manifest = _manifest(model)
    with tempfile.TemporaryDirectory() as folder:
        source, built = Path(folder) / "source", Path(folder) / "built"
        try:
            _write_source(model, manifest, source)
            _run_backend(source, built)
            (wheel,) = built.glob("*.whl")
            output.mkdir(parents=True, exist_ok=True)
            with atomic_write(output / wheel.name) as draft:
                shutil.copyfile(wheel, draft)
        except OSError as error:
            raise ExportError(f"{output}: the wheel cannot be written ({error.strerror or error})") from error
    return output / wheel.name


def _manifest(model: Path) -> Manifest:
    if not model.is_file():
        raise ExportError(f"{model}: no such file; give the .onnx file that aiface-export wrote")
    try:
        manifest = Engine(model, "cpu").manifest
    except AifaceError as error:
        raise ExportError(str(error)) from error
    if not _VERSION.fullmatch(manifest.version):
        raise ExportError(
            f"{model}: a wheel cannot have its version {manifest.version!r}; export it with --model-version 1.0"
        )
    return manifest


def _write_source(model: Path, manifest: Manifest, source: Path) -> None:
    """Write what the backend builds: data in a package without code."""
    package = source / PACKAGE
    package.mkdir(parents=True)
    file, size = f"{DISTRIBUTION}.onnx", model.stat().st_size
    shutil.copyfile(model, package / file)
    index = {"default": NAME, "models": {NAME: {"file": file, "sha256": sha256_of([model]), "size": size}}}
    (package / "index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    (package / "__init__.py").write_text('"""A model of aiface; data alone."""\n', encoding="utf-8")
    (package / f"{DISTRIBUTION}.md").write_text(card(manifest, size), encoding="utf-8")
    (source / "LICENSE").write_text(_licence(), encoding="utf-8")
    if "Clip" in manifest.document["source"]["architecture"]:
        shutil.copyfile(Path(__file__).with_name("CLIP-LICENSE.txt"), source / "LICENSE-CLIP")
    (source / "pyproject.toml").write_text(_PYPROJECT, encoding="utf-8")
    (source / "setup.cfg").write_text(_SETUP.format(version=manifest.version, aiface=__version__), encoding="utf-8")


def _licence() -> str:
    """Return the text of aiface's own licence, of the installed distribution or the checkout."""
    try:
        text = distribution("aiface").read_text("licenses/LICENSE")
    except PackageNotFoundError:
        text = None
    return text or (Path(__file__).resolve().parents[2] / "LICENSE").read_text(encoding="utf-8")


def _run_backend(source: Path, built: Path) -> None:
    # By their metadata: looking for pip as a module makes setuptools replace distutils in this process.
    missing = [name for name in ("pip", "setuptools") if not list(distributions(name=name))]
    if missing:
        raise ExportError(f"a wheel is built by pip and setuptools; install what is not here: {' and '.join(missing)}")
    command = [sys.executable, *_BUILD, "--wheel-dir", str(built), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 no user's words
    if done.returncode:
        *_, last = done.stderr.strip().splitlines() or ["no message"]
        raise ExportError(f"setuptools cannot build the wheel ({last.strip()}); upgrade pip and setuptools")

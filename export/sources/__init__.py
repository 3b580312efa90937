"""Which reader opens what the user named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import SourceError
from ..source import Hints, Source
from .keras_file import is_keras, read_keras
from .torchvision_stub import declare_missing_names

_SAYS_ITSELF = "says its labels and pre-processing itself; leave out --labels, --channels and --resize"


def open_source(source: str, ai_label: Sequence[str] = (), hints: Hints = Hints()) -> Source:  # noqa: B008 frozen
    """Open a checkpoint or an ONNX file.

    Args:
        source: A transformers checkpoint folder, a hub id `org/name[@revision]`, a `.h5`, `.keras` or `.onnx` file,
            or a SavedModel folder.
        ai_label: Labels that mean AI-generated, where their names do not say.
        hints: Facts that the source does not hold itself.

    Raises:
        SourceError: The source is nothing that can be exported, or the hints do not fit it.
    """
    path = Path(source)
    if hints.processor or hints.config or (path.suffix == ".onnx" and not path.is_dir()):
        return _open_onnx(path, ai_label, hints)
    if hints.head or hints.output:
        raise SourceError(f"{source}: --head and --output-name are for an .onnx file; leave them out")
    if is_keras(path):
        return read_keras(path, ai_label, hints)
    if hints != Hints():
        raise SourceError(f"{source}: {_SAYS_ITSELF}")
    if path.is_file():
        raise SourceError(
            f"{source}: a single file does not say what to do with a photo; give its folder, with config.json and "
            "preprocessor_config.json beside the weights"
        )
    from .hub import fetch, is_hub_id

    folder, name = fetch(source) if is_hub_id(source) else (path, "")
    declare_missing_names()  # before transformers, which imports torchvision where it is installed
    from .transformers_folder import read_transformers  # takes seconds, which a mistyped id need not

    return read_transformers(folder, ai_label, name)


def _open_onnx(path: Path, ai_label: Sequence[str], hints: Hints) -> Source:
    if is_keras(path) or path.is_dir():
        raise SourceError(f"{path}: --processor and --config are for an .onnx file; leave them out")
    if hints.channels or hints.resize:
        raise SourceError(f"{path}: its processor says what it is fed; leave out --channels and --resize")
    if hints.processor is None or not (hints.config or hints.labels):
        raise SourceError(
            f"{path}: does not say what to do with a photo; give --processor preprocessor_config.json and --config "
            "config.json, or --labels in place of the second"
        )
    declare_missing_names()
    from .onnx_file import read_onnx

    return read_onnx(path, hints, ai_label)

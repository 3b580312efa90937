"""Which reader opens what the user named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import SourceError
from ..source import Hints, Source
from .keras_file import is_keras, read_keras
from .torchvision_stub import declare_missing_names


def open_source(place: str, ai_label: Sequence[str] = (), hints: Hints = Hints()) -> Source:  # noqa: B008 frozen
    """Open a checkpoint.

    Args:
        place: A transformers checkpoint folder, a hub id `org/name[@revision]`, a `.h5` or `.keras` file, or a
            SavedModel folder.
        ai_label: Labels that mean AI-generated, where their names do not say.
        hints: What a Keras source does not say itself.

    Raises:
        SourceError: There is nothing there that can be exported, or the hints are not for it.
    """
    if is_keras(Path(place)):
        return read_keras(Path(place), ai_label, hints)
    if hints != Hints():
        raise SourceError(
            f"{place}: says its labels and pre-processing itself; leave out --labels, --channels and --resize"
        )
    if Path(place).is_file():
        remedy = (
            "wrap it by aiface-export adopt"
            if Path(place).suffix == ".onnx"
            else "give its folder, with config.json and preprocessor_config.json beside the weights"
        )
        raise SourceError(f"{place}: a single file does not say what to do with a photo; {remedy}")
    from .hub import fetch, is_hub_id

    folder, name = fetch(place) if is_hub_id(place) else (Path(place), "")
    declare_missing_names()  # before transformers, which imports torchvision where it is installed
    from .transformers_folder import read_transformers  # takes seconds, which a mistyped id need not

    return read_transformers(folder, ai_label, name)

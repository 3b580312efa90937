"""Write model files again as this version writes them, with hash and self-test; the graph stays bit for bit.

`python -m aiface_export.rewrite MODEL.onnx …`, which also writes the cards of the files and, where an `index.json`
lies beside them, their entries in it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import onnx

from aiface_evaluation.write_model import write_model
from aiface_runtime.files import atomic_write
from aiface_runtime.model_file import read_model

from .model_card import INDEX, add_to_index, write_card


def rewrite(file: Path) -> None:
    """Write a model file again.

    Raises:
        AifaceError: The file is not a model that the runtime opens; it stays as it was.
        OSError: The file cannot be written; it stays as it was.
    """
    model = read_model(file)
    graph = onnx.load_model_from_string(model.data)
    with atomic_write(file) as draft:
        write_model(graph, model.manifest().document, draft, graph.producer_name)


def main(files: Sequence[str]) -> None:
    """Write these model files again, their cards, and their entries where there is an index."""
    for file in map(Path, files):
        rewrite(file)
        manifest = write_card(file)
        if (file.parent / INDEX).is_file():
            add_to_index(file, manifest.name)


if __name__ == "__main__":
    main(sys.argv[1:])

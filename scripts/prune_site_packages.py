"""Remove from a folder of installed packages what no answer needs: their tests, and tools of onnxruntime.

python scripts/prune_site_packages.py FOLDER
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

UNUSED = (
    "**/tests",
    "onnxruntime/transformers",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/datasets",
)


def prune(folder: Path) -> None:
    """Remove them."""
    for pattern in UNUSED:
        for unused in list(folder.glob(pattern)):
            shutil.rmtree(unused)


if __name__ == "__main__":
    prune(Path(sys.argv[1]))

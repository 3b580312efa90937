"""Make the folder of a Hugging Face Space: `python scripts/make_space.py dist/space`.

It holds the files of `space/` and, beside them, the library with its bundled model. A Space installs `requirements.txt`
before any other file is there, so neither a wheel nor the library can be named in it. Push the folder as it is.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_BUNDLED = ("__init__.py", "index.json", "*.onnx", "*.md")  # of models/; the large model's head is for aiface-large


def main(folder: Path) -> None:
    """Fill an empty or a new folder.

    Raises:
        SystemExit: There is something in the folder.
    """
    if folder.is_dir() and any(folder.iterdir()):
        sys.exit(f"{folder}: is not empty; name a new folder")
    shutil.copytree(_ROOT / "space", folder, dirs_exist_ok=True)
    library = folder / "aiface_runtime"
    shutil.copytree(_ROOT / "aiface_runtime", library, ignore=shutil.ignore_patterns("__pycache__"))
    models = library / "models"
    models.mkdir()
    for pattern in _BUNDLED:
        for file in _ROOT.joinpath("models").glob(pattern):
            shutil.copy2(file, models)
    shutil.copy2(_ROOT / "LICENSE", folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/make_space.py FOLDER")
    main(Path(sys.argv[1]))

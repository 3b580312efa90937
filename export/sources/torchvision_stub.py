"""torchvision beside a PyTorch that its compiled part was not built for.

timm takes its image transforms from torchvision, which are plain Python; but importing torchvision fails where its
compiled detection operators cannot be loaded, as beside the CPU build of PyTorch that this project pins. Nothing here
calls those operators: it is enough that PyTorch knows their names.
"""

from __future__ import annotations

from importlib import util
from pathlib import Path

_NAMES = ("nms", "qnms")
_libraries: list[object] = []  # PyTorch forgets the names with the object that declared them


def declare_missing_names() -> None:
    """Make `import torchvision` work; does nothing where it is absent, fits, or was imported already."""
    spec = util.find_spec("torchvision")
    if spec is None or spec.origin is None or _libraries:
        return
    import torch

    if hasattr(torch.ops.torchvision, "nms"):
        return
    try:
        for file in Path(spec.origin).parent.glob("_C*.so"):
            torch.ops.load_library(file)  # type: ignore[no-untyped-call]
    except (OSError, ImportError):
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in _NAMES:
            schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(schema)  # type: ignore[no-untyped-call]
        _libraries.append(library)

"""What the teacher says of every view: its margin, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from aiface_evaluation.errors import DataError
from aiface_evaluation.types import Progress
from aiface_export.networks import ClipBlocksForImageClassification
from aiface_runtime.files import sha256_of

from ..checkpoint import ImageProcessor, from_checkpoint, has_bfloat16
from ..data.store import Rows, ViewStore
from ..data.views import Views
from ..pixels import normaliser
from ..standardised import as_margin

_TAUGHT = 2  # blocks whose class tokens the student learns


def label_views(views: Views, folder: Path, progress: Progress, *, teacher: Path) -> ViewStore:
    """Show the teacher every view, and keep the pixels with its answers.

    Args:
        views: The views.
        folder: Folder of the rows; those of a run that was cut off are used.
        progress: Wraps an iterable to show how far it is.
        teacher: The teacher's checkpoint folder.

    Returns:
        `pixels` uint8 `[size, size, 3]`, `margins` float32, `features` float16 `[features]`.

    Raises:
        DataError: The folder is not a teacher's.
    """
    network, processor = from_checkpoint(teacher)
    if not isinstance(network, ClipBlocksForImageClassification):
        raise DataError(f"{teacher}: is not a teacher; make one with aiface-train teacher")
    weights = sha256_of(sorted(teacher.glob("model*.safetensors")))
    store = ViewStore(folder, len(views), [weights, views.made_from])
    store.fill(views, _answers(network, processor), progress)
    return store


def _answers(network: ClipBlocksForImageClassification, processor: ImageProcessor) -> Callable[[torch.Tensor], Rows]:
    normalise = normaliser(processor)
    network.train(False)

    def answer(pixels: torch.Tensor) -> Rows:
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            blocks = network.blocks(normalise(pixels))
            features = network.features(blocks).float()
        taught = torch.cat([blocks[block][:, 0] for block in network.config.class_blocks[-_TAUGHT:]], dim=-1)
        return {"pixels": pixels, "margins": as_margin(network.classifier(features)), "features": taught.half()}

    return answer

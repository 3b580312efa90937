"""What the project's own networks return."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers.utils.generic import ModelOutput


@dataclass
class CellsOutput(ModelOutput):
    """Logits of the labels and, of networks with a face head, of each cell.

    Attributes:
        logits: float32 `[N, C]`.
        face_logits: float32 `[N, h, w]`, the log-odds that a face lies in the cell; None without a face head.
    """

    logits: torch.Tensor | None = None
    face_logits: torch.Tensor | None = None

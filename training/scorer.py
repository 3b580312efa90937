"""A checkpoint folder as something to evaluate, run by its own framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from aiface_evaluation.conditions import views
from aiface_evaluation.dataset import Sample
from aiface_evaluation.errors import DataError
from aiface_evaluation.evaluate import ModelScorer
from aiface_evaluation.operating_points import DEFAULT
from aiface_evaluation.parallel import ahead
from aiface_evaluation.types import Progress, Scorer, Scores
from aiface_export.checkpoint_record import CheckpointRecord
from aiface_export.sources import open_source
from aiface_runtime.manifest import OperatingPoint

from .checkpoint import has_bfloat16

_UNCALIBRATED = {DEFAULT: OperatingPoint(0.5, 0.5)}


class CheckpointScorer:
    """A checkpoint folder as a `Scorer`.

    Args:
        folder: Checkpoint folder, as `aiface_export.sources.open_source` takes it.
        bf16: Whether to compute in bfloat16 where the processor has it: a transformer takes a third of the time, and
            answers move by a hundredth.

    Raises:
        ExportError: The checkpoint cannot be used.
    """

    def __init__(self, folder: Path, *, bf16: bool = False) -> None:
        self._source = open_source(str(folder))
        self._bf16 = bf16 and has_bfloat16()
        self.name = folder.resolve().name
        recorded = CheckpointRecord.read(folder).operating_points or {}
        points = {name: OperatingPoint(point.real_below, point.ai_from) for name, point in recorded.items()}
        self.operating_points: Mapping[str, OperatingPoint] = points or _UNCALIBRATED

    def score(self, samples: Sequence[Sample], conditions: Sequence[str], progress: Progress) -> dict[str, Scores]:
        """Give P(AI) of every sample in every condition, as `Scorer` says.

        A photo a thread; with one core each, PyTorch wastes none on waiting.
        """
        threads = torch.get_num_threads()

        def answers(sample: Sample) -> Scores:
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
                probabilities = self._source.probabilities(views(sample, tuple(conditions)))
            of_ai: Scores = probabilities[:, self._source.ai_indices].sum(axis=1, dtype=np.float64)
            return of_ai

        torch.set_num_threads(1)
        try:
            p_ai = np.stack(list(ahead(answers, progress(samples))))
        finally:
            torch.set_num_threads(threads)
        return dict(zip(conditions, p_ai.T, strict=True))


def open_scorer(model: str, *, bf16: bool = False) -> Scorer:
    """Open a checkpoint folder, an `.onnx` file or a bundled name for evaluation.

    Raises:
        DataError: bfloat16 is asked for, of a file.
    """
    if Path(model).is_dir():
        return CheckpointScorer(Path(model), bf16=bf16)
    if bf16:
        raise DataError(f"{model}: --bf16 is for checkpoint folders; a file computes as it says")
    return ModelScorer(model)

"""What a run does between epochs, so that one that was cut off goes on as it would have done.

Keras backs up the weights, the running statistics and the optimizer. What is left are the examples and the random
numbers, which are derived from the number of the epoch, and the log, which grows by a row an epoch.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.metrics import roc_auc_score
from torch.utils.data import DataLoader

from aiface_evaluation.dataset import Sample

from ..data.sampling import EpochSampler
from ..recipe import ReferenceRecipe
from .loading import val_loader

_BACKUP, _LOG, _BEST = "backup", "log.csv", "best-{epoch}.keras"
_AUC = "val_auc"


@dataclass(frozen=True)
class RunLog:
    """What was measured at the end of each epoch.

    Attributes:
        losses: Mean binary cross-entropy of the epoch's examples.
        val_auc: Area under the ROC curve on val.
    """

    losses: tuple[float, ...]
    val_auc: tuple[float, ...]

    @classmethod
    def read(cls, run: Path) -> RunLog:
        """Read the log of a run; an empty one where there is none yet.

        An epoch that was done again after a cut has two rows; the later one belongs to the state that went on.
        """
        if not (run / _LOG).is_file():
            return cls((), ())
        with (run / _LOG).open(newline="", encoding="utf-8") as file:
            rows = {int(row["epoch"]): (float(row["loss"]), float(row[_AUC])) for row in csv.DictReader(file)}
        ordered = [rows[epoch] for epoch in sorted(rows)]
        return cls(tuple(loss for loss, _ in ordered), tuple(auc for _, auc in ordered))

    def until(self, epoch: int) -> RunLog:
        """Return the log of the epochs before `epoch`."""
        return RunLog(self.losses[:epoch], self.val_auc[:epoch])

    def best_model(self, run: Path) -> Path:
        """Return the file of the first epoch with the highest AUC."""
        return run / _BEST.format(epoch=int(np.argmax(self.val_auc)) + 1)


class EpochStart(keras.callbacks.Callback):  # type: ignore[misc] # keras has no types
    """Sets the examples and the random numbers of the epoch that begins.

    Args:
        sampler: Sampler of the loader that the model is fitted on.
        seed: Random seed of the run.
    """

    def __init__(self, sampler: EpochSampler, seed: int) -> None:
        super().__init__()
        self.sampler, self._seed = sampler, seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002, D102
        self.sampler.epoch = epoch
        keras.utils.set_random_seed(self._seed + epoch)  # dropout's, where the backend has one generator
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Dropout):  # and where each layer has its own
                layer.seed_generator.state.assign(np.array([self._seed, epoch]))


class ValAuc(keras.callbacks.Callback):  # type: ignore[misc] # keras has no types
    """Adds the AUC on val to what the callbacks after it see, exact where Keras' own metric counts in bins.

    Args:
        photos: Val, in the order of `targets`.
        targets: 1 for real, 0 for AI.
    """

    def __init__(self, photos: DataLoader[Any], targets: Sequence[int]) -> None:
        super().__init__()
        self._photos, self._targets = photos, targets

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002, D102
        p_real = self.model.predict(self._photos, verbose=0)
        logs[_AUC] = float(roc_auc_score(self._targets, p_real[:, 0]))


class _OneBest(keras.callbacks.ModelCheckpoint):  # type: ignore[misc] # keras has no types
    """Keeps the best model so far under the number of its epoch, and removes what it surpassed.

    An epoch's file is removed only when the next epoch begins, which is after the state that goes with it is backed up;
    so a cut at any moment leaves the best model of the log.
    """

    def __init__(self, run: Path) -> None:
        super().__init__(str(run / _BEST), monitor=_AUC, mode="max", save_best_only=True)
        self._run = run

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        if not epoch:
            return
        log = RunLog.read(self._run).until(epoch)
        self.best = max(log.val_auc)
        for file in self._run.glob(_BEST.format(epoch="*")):
            if file != log.best_model(self._run):
                file.unlink()


def run_callbacks(
    run: Path, sampler: EpochSampler, val: Sequence[Sample], recipe: ReferenceRecipe
) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a run whose state lies in `run`, in the order in which they have to be called."""
    return [
        EpochStart(sampler, recipe.seed),
        ValAuc(val_loader(val, recipe), [int(sample.label == "real") for sample in val]),
        _OneBest(run),
        keras.callbacks.CSVLogger(str(run / _LOG), append=True),
        # Last: what is backed up counts as done. Two states, of which a cut while one is written leaves the other.
        keras.callbacks.BackupAndRestore(str(run / _BACKUP), double_checkpoint=True, delete_checkpoint=False),
    ]

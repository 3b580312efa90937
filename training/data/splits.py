"""The train and val splits of labelled photos."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from aiface_evaluation.dataset import LABELS, Sample
from aiface_evaluation.errors import DataError


def train_and_val(samples: Sequence[Sample], seed: int, val_share: float = 0.1) -> tuple[list[Sample], list[Sample]]:
    """Return train and val; where the data names no splits, `val_share` of each class is held out by the seed.

    Raises:
        DataError: A split lacks one of the labels.
    """
    train = [sample for sample in samples if sample.split == "train"]
    val = [sample for sample in samples if sample.split == "val"]
    unsplit = [sample for sample in samples if not sample.split]
    share = 0.0 if val else val_share
    for label in LABELS:
        group = [sample for sample in unsplit if sample.label == label]
        random.Random(seed).shuffle(group)  # noqa: S311
        held_out = math.ceil(share * len(group))
        val, train = val + group[:held_out], train + group[held_out:]
    for name, split in (("train", train), ("val", val)):
        if {sample.label for sample in split} != set(LABELS):
            raise DataError(f"the {name} split needs photos of both labels, real and ai")
    return train, val

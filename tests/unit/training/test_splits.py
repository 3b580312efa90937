"""Train and val, given or held out."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiface_evaluation.dataset import Sample
from aiface_evaluation.errors import DataError
from aiface_training.data.splits import train_and_val


def _samples(split: str, count: int = 20) -> list[Sample]:
    return [
        Sample(Path(f"{split}{label}{n}"), label, "s", split=split) for label in ("real", "ai") for n in range(count)
    ]


def test_without_splits_a_tenth_of_each_label_is_held_out_by_the_seed() -> None:
    train, val = train_and_val(_samples(""), seed=1)
    assert not {sample.path for sample in train} & {sample.path for sample in val}
    assert [sum(sample.label == label for sample in val) for label in ("real", "ai")] == [2, 2]
    assert len(train) == 36
    assert train_and_val(_samples(""), seed=1) == (train, val)
    assert train_and_val(_samples(""), seed=2) != (train, val)


def test_splits_of_the_data_stay_and_test_is_left_out() -> None:
    train, val = train_and_val([*_samples("train"), *_samples("val", 3), *_samples("test"), *_samples("", 5)], seed=1)
    assert {sample.split for sample in val} == {"val"}
    assert {sample.split for sample in train} == {"train", ""}
    assert (len(train), len(val)) == (50, 6)


def test_both_splits_need_both_labels() -> None:
    reals = [sample for sample in _samples("val") if sample.label == "real"]
    with pytest.raises(DataError, match="the val split needs photos of both labels"):
        train_and_val([*_samples("train"), *reals], seed=1)
    with pytest.raises(DataError, match="the train split needs photos of both labels"):
        train_and_val(_samples("val"), seed=1)

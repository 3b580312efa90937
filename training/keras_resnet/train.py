"""Photos → the seed's ResNet, trained from random weights by Keras on whichever backend it has."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from aiface_evaluation.dataset import Sample, check_files, read_samples
from aiface_evaluation.errors import DataError
from aiface_export.checkpoint_record import CheckpointRecord, commands_of
from aiface_runtime.images import load_rgb
from aiface_runtime.manifest import Resize
from aiface_runtime.preprocess import preprocess

from ..checkpoint import has_bfloat16
from ..data.dataset import Example, TrainPhotos
from ..data.sampling import PairedSampler, SampledExample
from ..data.splits import train_and_val
from ..recipe import ReferenceRecipe
from .network import reference_resnet

MODEL = "model.keras"
LABELS = ("ai", "real")  # what 0 and 1 of the network's sigmoid mean, as in the seed

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


class _WholePhotos(Dataset[Example]):
    """Photos as the exported model will see them."""

    def __init__(self, samples: Sequence[Sample], recipe: ReferenceRecipe) -> None:
        self.samples, self._steps = samples, (Resize(recipe.image_size, recipe.image_size, recipe.resize),)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Example:
        sample = self.samples[index]
        return {"pixels": preprocess(load_rgb(sample.path), self._steps), "label": sample.target}


@dataclass
class _Progress:
    """How far a run is.

    Attributes:
        evaluations: How many are done.
        losses: Mean binary cross-entropy before each.
        val_auc: Of each.
    """

    evaluations: int = 0
    losses: list[float] = field(default_factory=list)
    val_auc: list[float] = field(default_factory=list)


def train_reference_resnet(
    data: Sequence[Path], output: Path, recipe: ReferenceRecipe, *, resume: bool = False, command: str = ""
) -> Path:
    """Train, keep the evaluation with the best AUC on val, and save it in float32.

    Args:
        data: Places that `read_samples` accepts, taken together.
        output: Folder of `model.keras` and of what is known of it (`aiface.json`); the run's own state lies in
            `output/run` until it ends.
        recipe: The numbers of the run.
        resume: Go on from the last state in `output/run`.
        command: What the user typed, for the record.

    Returns:
        The `.keras` file.

    Raises:
        DataError: The data or the recipe cannot be used.
    """
    if min(recipe.evaluations, recipe.samples // recipe.batch_size // max(1, recipe.evaluations)) < 1:
        raise DataError(f"{recipe.samples} samples are less than one batch of {recipe.batch_size} an evaluation")
    samples = [sample for place in data for sample in read_samples(place)]
    train, val = train_and_val(samples, recipe.seed)
    check_files([*train, *val])
    run = output / "run"
    if not resume:
        shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True, exist_ok=True)
    progress = _train(train, val, run, recipe)
    _save_in_float32(run / "best.keras", output / MODEL, recipe)
    training = {
        "commands": [*commands_of(data), *([command] if command else [])],
        "recipe": {name: value for name, value in asdict(recipe).items() if name not in ("licence", "limits")},
        "train_photos": Counter(sample.source for sample in train),
        "val_photos": Counter(sample.source for sample in val),
        "losses": progress.losses,
        "val_auc": progress.val_auc,
    }
    CheckpointRecord(
        file=MODEL,
        labels=LABELS,
        channels=recipe.channels,
        resize=recipe.resize,
        licence=recipe.licence,
        limits=recipe.limits,
        training=training,
    ).write(output)
    shutil.rmtree(run)
    return output / MODEL


def _train(train: Sequence[Sample], val: Sequence[Sample], run: Path, recipe: ReferenceRecipe) -> _Progress:
    model, progress = _start(run, recipe)
    steps = recipe.samples // recipe.batch_size // recipe.evaluations
    draws = list(
        PairedSampler(
            train,
            steps * recipe.evaluations * recipe.batch_size,
            reconstructions=0.0,
            weak=recipe.augmentation.weak,
            weak_pairs=recipe.augmentation.weak_pairs,
            seed=recipe.seed,
        )
    )
    for done in range(progress.evaluations, recipe.evaluations):
        stretch = draws[done * steps * recipe.batch_size : (done + 1) * steps * recipe.batch_size]
        name = f"{done + 1}/{recipe.evaluations}"
        # Dropout's random numbers are no part of a saved state: each stretch begins with its own.
        keras.utils.set_random_seed(recipe.seed + done)
        progress.losses.append(_learn(model, TrainPhotos(train, recipe.augmentation), stretch, recipe, name))
        progress.val_auc.append(_val_auc(model, val, recipe, name))
        progress.evaluations += 1
        _keep(model, progress, run)
    return progress


def _start(run: Path, recipe: ReferenceRecipe) -> tuple[keras.Model, _Progress]:
    """The last state of a run, the optimizer's included, or random weights."""
    if (file := run / "progress.json").is_file():
        progress = _Progress(**json.loads(file.read_text(encoding="utf-8")))
        return keras.models.load_model(_state(run, progress)), progress
    keras.utils.set_random_seed(recipe.seed)
    with _policy("mixed_bfloat16" if recipe.bf16 and has_bfloat16() else "float32"):
        model = reference_resnet(recipe.width, recipe.image_size)
    # Compiled by the torch backend, it is compiled anew again and again.
    model.compile(keras.optimizers.Adam(recipe.learning_rate), "binary_crossentropy", jit_compile=False)
    return model, _Progress()


def _state(run: Path, progress: _Progress) -> Path:
    return run / f"state-{progress.evaluations}.keras"


def _keep(model: keras.Model, progress: _Progress, run: Path) -> None:
    """Write so that a cut at any moment leaves a whole state and the progress that belongs to it."""
    before = set(run.glob("state-*.keras"))
    model.save(_state(run, progress))
    if progress.val_auc[-1] == max(progress.val_auc):
        shutil.copyfile(_state(run, progress), run / "best.part")
        (run / "best.part").replace(run / "best.keras")
    (run / "progress.part").write_text(json.dumps(asdict(progress)), encoding="utf-8")
    (run / "progress.part").replace(run / "progress.json")
    for file in before - {_state(run, progress)}:
        file.unlink()


def _learn(
    model: keras.Model, photos: TrainPhotos, draws: Sequence[SampledExample], recipe: ReferenceRecipe, name: str
) -> float:
    """One stretch of the run; its mean loss."""
    model.reset_metrics()
    loss = float("nan")
    with tqdm(_loader(photos, recipe, draws, recipe.batch_size), desc=f"{name} train", unit="batch") as batches:
        for pixels, targets in batches:
            loss = float(model.train_on_batch(pixels, targets, return_dict=True)["loss"])  # the mean so far
            batches.set_postfix(loss=f"{loss:.4f}")
    return loss


def _val_auc(model: keras.Model, val: Sequence[Sample], recipe: ReferenceRecipe, name: str) -> float:
    answers, targets = [], []
    with tqdm(_loader(_WholePhotos(val, recipe), recipe, range(len(val)), 64), desc=f"{name} val") as batches:
        for pixels, target in batches:
            answers.append(model.predict_on_batch(pixels))
            targets.append(target)
        auc = float(roc_auc_score(np.concatenate(targets), np.concatenate(answers)))
        batches.set_postfix(auc=f"{auc:.4f}")
    return auc


def _loader(
    photos: Dataset[Example], recipe: ReferenceRecipe, order: Sequence[Any], batch_size: int
) -> DataLoader[Any]:
    # One worker: beside two there would be no core left to learn on.
    return DataLoader(photos, batch_size, sampler=order, num_workers=1, collate_fn=_collate(recipe))


def _collate(recipe: ReferenceRecipe) -> Callable[[list[Example]], Batch]:
    """Pixels float32 `[N, size, size, 3]`, 0 to 1, in the network's order; targets float32 `[N, 1]`, 1 for real."""

    def collate(examples: list[Example]) -> Batch:
        pixels = np.stack([example["pixels"] for example in examples])
        ordered = pixels[..., ::-1] if recipe.channels == "bgr" else pixels
        is_real = [[float(example["label"] == 0)] for example in examples]
        return np.divide(ordered, 255.0, dtype=np.float32), np.array(is_real, dtype=np.float32)

    return collate


def _save_in_float32(best: Path, file: Path, recipe: ReferenceRecipe) -> None:
    """The same weights in a network that computes in float32 and carries no optimizer."""
    with _policy("float32"):
        model = reference_resnet(recipe.width, recipe.image_size)
    model.set_weights(keras.models.load_model(best, compile=False).get_weights())
    model.save(file)


@contextmanager
def _policy(name: str) -> Iterator[None]:
    """What layers that are made inside compute in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)

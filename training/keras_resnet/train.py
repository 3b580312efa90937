"""Photos → the reference ResNet, trained from random weights by Keras on whichever backend it has."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras

from aiface_evaluation.dataset import Sample, check_files, read_samples
from aiface_export.checkpoint_record import CheckpointRecord, commands_of

from ..checkpoint import has_bfloat16
from ..data.sampling import EpochSampler, PairedSampler
from ..data.splits import train_and_val
from ..recipe import ReferenceRecipe
from .callbacks import RunLog, run_callbacks
from .loading import train_loader
from .network import reference_resnet

MODEL = "model.keras"
LABELS = ("ai", "real")  # what 0 and 1 of the network's sigmoid mean, as in the published network


def train_reference_resnet(
    data: Sequence[Path], output: Path, recipe: ReferenceRecipe, *, resume: bool = False, command: str = ""
) -> Path:
    """Train, keep the evaluation with the best AUC on val, and save it in float32.

    Args:
        data: Paths that `read_samples` accepts, taken together.
        output: Folder of `model.keras` and of what is known of it (`aiface.json`); the run's own state lies in
            `output/run` until it ends.
        recipe: The numbers of the run.
        resume: Whether to go on from the last state in `output/run`.
        command: Command line that the user typed, for the record.

    Returns:
        The `.keras` file.

    Raises:
        DataError: The data cannot be used.
    """
    samples = [sample for path in data for sample in read_samples(path)]
    train, val = train_and_val(samples, recipe.seed)
    check_files([*train, *val])
    run = output / "run"
    if not resume:
        shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True, exist_ok=True)
    log = _train(train, val, run, recipe)
    _save_in_float32(log.best_model(run), output / MODEL, recipe)
    training = {
        "commands": [*commands_of(data), *([command] if command else [])],
        "recipe": recipe.to_json(),
        "train_photos": Counter(sample.source for sample in train),
        "val_photos": Counter(sample.source for sample in val),
        "losses": log.losses,
        "val_auc": log.val_auc,
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


def _train(train: Sequence[Sample], val: Sequence[Sample], run: Path, recipe: ReferenceRecipe) -> RunLog:
    """Fit a new network, or go on from the state in `run`; return what was measured."""
    steps = recipe.samples // recipe.batch_size // recipe.evaluations
    count = steps * recipe.evaluations * recipe.batch_size
    sampler = EpochSampler(list(PairedSampler.from_recipe(train, recipe, count)), recipe.evaluations)
    _new_model(recipe).fit(
        train_loader(train, sampler, recipe),
        epochs=recipe.evaluations,
        callbacks=run_callbacks(run, sampler, val, recipe),
        verbose=1 if sys.stderr.isatty() else 2,
    )
    return RunLog.read(run)


def _new_model(recipe: ReferenceRecipe) -> keras.Model:
    """Return the network with random weights, ready to be fitted."""
    keras.utils.set_random_seed(recipe.seed)
    with _policy("mixed_bfloat16" if recipe.bf16 and has_bfloat16() else "float32"):
        model = reference_resnet(recipe.width, recipe.image_size)
    # Compiled by the torch backend, it is compiled anew again and again.
    model.compile(keras.optimizers.Adam(recipe.learning_rate), "binary_crossentropy", jit_compile=False)
    return model


def _save_in_float32(best: Path, file: Path, recipe: ReferenceRecipe) -> None:
    """Save the same weights in a network that computes in float32 and carries no optimizer."""
    with _policy("float32"):
        model = reference_resnet(recipe.width, recipe.image_size)
    model.set_weights(keras.models.load_model(best, compile=False).get_weights())
    model.save(file)


@contextmanager
def _policy(name: str) -> Iterator[None]:
    """Set what layers that are made inside compute in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)

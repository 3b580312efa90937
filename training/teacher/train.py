"""Photos and CLIP's image tower → views; views and the tower → the teacher's checkpoint folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPVisionModel, set_seed

from aiface_evaluation.dataset import check_files, read_samples
from aiface_evaluation.types import Progress
from aiface_export.checkpoint_record import CheckpointRecord

from ..data.splits import train_and_val
from ..data.view_set import ViewSet, make_view_set
from ..data.views import draw_views
from ..data.weights import sample_weights
from ..loop import Batch, Group, Loop, Schedule
from ..standardised import smoothed, soft_cross_entropy
from .head import TeacherHead
from .network import clip_processor, rows_of, teacher_network
from .recipe import TeacherRecipe


def make_views(
    data: Sequence[Path],
    clip: CLIPVisionModel,
    output: Path,
    recipe: TeacherRecipe,
    progress: Progress,
    *,
    command: str = "",
) -> Path:
    """Show views of all train photos to the tower, and keep what the head will see; resumable.

    Args:
        data: Paths that `read_samples` accepts, taken together: photos, and reconstructions of them if wanted.
        clip: CLIP's image tower.
        output: Folder of the views.
        recipe: Blocks, views and augmentation.
        progress: Wraps an iterable to show how far it is.
        command: Command line that the user typed, for the record.

    Returns:
        `output`.

    Raises:
        DataError: The data cannot be used, or the folder holds other views.
    """
    samples = [sample for path in data for sample in read_samples(path)]
    train, _ = train_and_val(samples, recipe.seed)
    train = [sample for sample, weight in zip(train, sample_weights(train, recipe.kinds), strict=True) if weight]
    check_files(train)
    network = teacher_network(clip, recipe)
    make_view_set(
        train,
        draw_views(train, recipe.views, recipe.seed),
        recipe.augmentation,
        output,
        progress,
        compute=rows_of(network, clip_processor(recipe.image_size)),
        made_by=[recipe.class_blocks, recipe.patch_blocks, _fingerprint(clip)],
        command=command,
    )
    return output


def train_teacher(
    folder: Path, clip: CLIPVisionModel, output: Path, recipe: TeacherRecipe, *, command: str = ""
) -> Path:
    """Fit the head.

    Args:
        folder: Folder by `make_views`, of the same tower and recipe.
        clip: CLIP's image tower.
        output: Folder of the checkpoint.
        recipe: The numbers of the run.
        command: Command line that the user typed, for the record.

    Returns:
        `output`, without calibration.

    Raises:
        DataError: The views cannot be used.
    """
    set_seed(recipe.seed)
    views, network = ViewSet.open(folder), teacher_network(clip, recipe)
    features = views.store.all("features")
    head = TeacherHead(features.float(), recipe)
    loop = _fit(head, features, views, recipe, output)
    head.fold_into(network)
    network.save_pretrained(output)
    clip_processor(recipe.image_size).save_pretrained(output)
    training = {
        "commands": [*views.commands, command],
        "recipe": recipe.to_json(),
        "train_photos": views.photos,
    }
    CheckpointRecord(licence=recipe.licence, limits=recipe.limits, training=training).write(output)
    loop.remove()
    return output


def _fingerprint(clip: CLIPVisionModel) -> float:
    """Sum a tower's weights, so that other weights give other rows."""
    return sum(float(tensor.double().sum()) for tensor in clip.state_dict().values())


def _fit(head: TeacherHead, features: torch.Tensor, views: ViewSet, recipe: TeacherRecipe, run: Path) -> Loop:
    group = Group(parameters=dict(head.named_parameters()), learning_rate=recipe.learning_rate)
    schedule = Schedule(
        steps=recipe.steps, warmup=recipe.steps // 10, weight_decay=recipe.weight_decay, bf16=recipe.bf16
    )
    loop = Loop([group], schedule, run, recipe.to_json())
    loop.resume()

    def loss(batch: Batch) -> torch.Tensor:
        return soft_cross_entropy(head(batch["features"]), smoothed(batch["labels"], recipe.label_smoothing))

    head.train()
    loop.run(_batches(features, views, recipe, loop.step), loss)
    head.train(False)
    return loop


def _batches(features: torch.Tensor, views: ViewSet, recipe: TeacherRecipe, start: int) -> Iterator[Batch]:
    targets = torch.from_numpy(views.targets).float()
    chances = views.chances(recipe.kinds)
    for step in range(start, recipe.steps):
        drawn = np.random.default_rng([recipe.seed, step]).choice(len(chances), size=recipe.batch_size, p=chances)
        rows = torch.from_numpy(drawn)
        yield {"features": features[rows].float(), "labels": targets[rows]}

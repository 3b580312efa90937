"""Photos and a teacher → a student's checkpoint folder."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import set_seed

from aiface_evaluation.dataset import check_files, read_samples
from aiface_evaluation.types import Progress
from aiface_export.checkpoint_record import CheckpointRecord, commands_of

from ..data.splits import train_and_val
from ..data.views import Views, draw_views
from ..data.weights import sample_weights, view_weights
from ..loop import Group, Loop, Schedule
from .labels import label_views
from .lite import lite_from_imagenet, processor
from .recipe import StudentRecipe
from .student import Lessons, Student, batches


def distil(
    data: Sequence[Path],
    recipe: StudentRecipe,
    progress: Progress,
    *,
    teacher: Path,
    init: Path,
    output: Path,
    labels: Path | None = None,
    command: str = "",
) -> Path:
    """Distil a student; a run that was cut off goes on where it was.

    Args:
        data: Paths that `read_samples` accepts, taken together: photos, and reconstructions of them.
        recipe: The numbers of the run.
        progress: Wraps an iterable to show how far it is.
        teacher: The teacher's checkpoint folder.
        init: ImageNet weights of the student, as `lite_from_imagenet` takes them.
        output: Folder of the checkpoint; the run's own state lies in `output/run` until it ends.
        labels: Folder in which the teacher's answers are kept for other students; None for `output/run`.
        command: Command line that the user typed, for the record.

    Returns:
        `output`, without calibration.

    Raises:
        DataError: The data, the teacher, the weights or the recipe cannot be used.
    """
    set_seed(recipe.seed)
    samples = [sample for path in data for sample in read_samples(path)]
    train, _ = train_and_val(samples, recipe.seed)
    weights = sample_weights(train, recipe.kinds)
    train = [sample for sample, weight in zip(train, weights, strict=True) if weight]
    check_files(train)
    views = draw_views(train, recipe.views, recipe.seed)
    network = lite_from_imagenet(init, recipe.variant, recipe.image_size)
    run = output / "run"
    shown = Views(train, views, recipe.augmentation)
    store = label_views(shown, labels or run / "labels", progress, teacher=teacher)
    lessons = Lessons(
        store=store,
        targets=np.array([train[view.sample].target for view in views]),
        weights=view_weights(views, weights[weights > 0], train),
    )
    _train(Student(network, processor(recipe.image_size), lessons), lessons, recipe, run)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-arg] # transformers wraps .to
    network.save_pretrained(output)
    processor(recipe.image_size).save_pretrained(output)
    training = {
        "commands": [*commands_of([*data, teacher]), *([command] if command else [])],
        "recipe": recipe.to_json(),
        "train_photos": Counter(sample.source for sample in train),
    }
    CheckpointRecord(licence=recipe.licence, limits=recipe.limits, training=training).write(output)
    shutil.rmtree(run)
    return output


def _train(student: Student, lessons: Lessons, recipe: StudentRecipe, run: Path) -> None:
    student.start_head(recipe.head_penalty)
    student.network.to(memory_format=torch.channels_last)  # type: ignore[call-arg] # transformers wraps .to
    for module in student.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(False)
    frozen = (*recipe.freeze, "classifier.", "face_head.")
    body = {
        name: parameter
        for name, parameter in student.network.named_parameters()
        if parameter.requires_grad and not name.startswith(frozen)
    }
    heads = {f"head.{name}": each for name, each in student.head.named_parameters()}
    heads |= {f"projection.{name}": each for name, each in student.projection.named_parameters()}
    loop = Loop(
        [
            Group(parameters=body, learning_rate=recipe.learning_rate),
            Group(parameters=heads, learning_rate=recipe.head_learning_rate),
        ],
        Schedule(steps=recipe.steps, weight_decay=recipe.weight_decay, bf16=recipe.bf16),
        run,
        recipe.to_json(),
    )
    loop.resume()
    student.eval()  # BatchNorm's statistics stay those of ImageNet
    loop.run(batches(lessons, recipe, loop.step), lambda batch: student.loss(batch, recipe))
    student.finish()

"""Views and a teacher → a student's checkpoint folder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from transformers import set_seed

from aiface_evaluation.errors import DataError
from aiface_export.checkpoint_record import CheckpointRecord, commands_of
from aiface_export.networks import ClipBlocksForImageClassification

from ..checkpoint import from_checkpoint
from ..data.view_set import ViewSet
from ..loop import Group, Loop, Schedule
from ..standardised import as_margin
from .recipe import StudentRecipe
from .start import open_start
from .student import Lessons, Student, batches

_TAUGHT = 2  # blocks whose class tokens the student predicts, the last ones
_BATCH = 1024


def distil(folder: Path, recipe: StudentRecipe, *, teacher: Path, init: Path, output: Path, command: str = "") -> Path:
    """Distil a student; a run that was cut off goes on where it was.

    Args:
        folder: Folder of views, of which the teacher's head was made.
        recipe: The numbers of the run.
        teacher: The teacher's checkpoint folder.
        init: Weights that the student starts from, as `open_start` takes them.
        output: Folder of the checkpoint, and of the run's state until it ends.
        command: Command line that the user typed, for the record.

    Returns:
        `output`, without calibration.

    Raises:
        DataError: The views, the teacher, the weights or the recipe cannot be used.
    """
    set_seed(recipe.seed)
    views = ViewSet.open(folder)
    start = open_start(init, recipe)
    lessons = _lessons(views, teacher, recipe)
    loop = _train(Student(start, lessons, recipe.head_penalty), lessons, recipe, output)
    start.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-arg] # transformers wraps .to
    start.network.save_pretrained(output)
    start.processor.save_pretrained(output)
    training = {
        "commands": [*commands_of([teacher]), command],
        "recipe": recipe.to_json(),
        "train_photos": views.photos,
    }
    CheckpointRecord(licence=recipe.licence, limits=recipe.limits, training=training).write(output)
    loop.remove()
    return output


def _lessons(views: ViewSet, teacher: Path, recipe: StudentRecipe) -> Lessons:
    network, _ = from_checkpoint(teacher)
    if not isinstance(network, ClipBlocksForImageClassification):
        raise DataError(f"{teacher}: is not a teacher; make one with aiface-train teacher")
    size, classes = network.clip.config.hidden_size, len(network.config.class_blocks)
    taught = slice((classes - min(_TAUGHT, classes)) * size, classes * size)
    features = torch.split(views.store.all("features"), _BATCH)
    with torch.no_grad():
        margins = torch.cat([as_margin(network.logits(part.float())) for part in features])
    return Lessons(
        store=views.store,
        margins=margins,
        taught=taught,
        targets=views.targets,
        chances=views.chances(recipe.kinds),
    )


def _train(student: Student, lessons: Lessons, recipe: StudentRecipe, run: Path) -> Loop:
    student.network.to(memory_format=torch.channels_last)  # type: ignore[call-arg] # transformers wraps .to
    loop = Loop(
        [
            Group(parameters=_body(student, recipe), learning_rate=recipe.learning_rate),
            Group(parameters=_heads(student), learning_rate=recipe.head_learning_rate),
        ],
        Schedule(steps=recipe.steps, weight_decay=recipe.weight_decay, bf16=recipe.bf16),
        run,
        recipe.to_json(),
    )
    loop.resume()
    loop.run(batches(lessons, recipe, loop.step), lambda batch: student.loss(batch, recipe))
    student.finish()
    return loop


def _body(student: Student, recipe: StudentRecipe) -> dict[str, nn.Parameter]:
    """Return what learns of the network: neither BatchNorm, nor what the recipe freezes, nor its own heads."""
    for module in student.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(False)
    frozen = (*recipe.freeze, "classifier.", "face_head.")
    parameters = student.network.named_parameters()
    return {name: each for name, each in parameters if each.requires_grad and not name.startswith(frozen)}


def _heads(student: Student) -> dict[str, nn.Parameter]:
    heads = {f"head.{name}": each for name, each in student.head.named_parameters()}
    return heads | {f"projection.{name}": each for name, each in student.projection.named_parameters()}

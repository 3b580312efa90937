"""Photos and CLIP's image tower → the teacher's checkpoint folder."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import CLIPVisionModel, set_seed

from aiface_evaluation.dataset import Sample, check_files, read_samples
from aiface_evaluation.types import Progress
from aiface_export.checkpoint_record import CheckpointRecord, commands_of

from ..checkpoint import has_bfloat16
from ..data.splits import train_and_val
from ..data.store import ViewStore
from ..data.views import View, Views, draw_views
from ..data.weights import sample_weights, view_weights
from ..loop import Batch, Group, Loop, Schedule
from ..standardised import StandardisedHead, soft_cross_entropy
from .adapters import add_adapters, save_and_merge
from .network import Teacher, clip_processor, teacher_network
from .recipe import TeacherRecipe


@dataclass(frozen=True, kw_only=True)
class _Material:
    """What the teacher learns from: its rows of every view, the views, their labels and the chance of each photo."""

    store: ViewStore
    views: Sequence[View]
    targets: NDArray[np.int_]
    chances: NDArray[np.float64]


def train_teacher(
    data: Sequence[Path],
    clip: CLIPVisionModel,
    output: Path,
    recipe: TeacherRecipe,
    progress: Progress,
    *,
    command: str = "",
) -> Path:
    """Fit a head, then adapters and head; a run that was cut off goes on where it was.

    Args:
        data: Paths that `read_samples` accepts, taken together: photos, and reconstructions of them.
        clip: CLIP's image tower.
        output: Folder of the checkpoint; the run's own state lies in `output/run` until it ends.
        recipe: The numbers of the run.
        progress: Wraps an iterable to show how far it is.
        command: Command line that the user typed, for the record.

    Returns:
        `output`, without calibration: the checkpoint with merged weights, and the adapters by themselves.

    Raises:
        DataError: The data or the recipe cannot be used.
    """
    set_seed(recipe.seed)
    samples = [sample for path in data for sample in read_samples(path)]
    train, _ = train_and_val(samples, recipe.seed)
    train = [sample for sample, weight in zip(train, sample_weights(train, recipe.kinds), strict=True) if weight]
    check_files(train)
    teacher = Teacher(teacher_network(clip, recipe), recipe.frozen_blocks)
    material = _material(teacher, train, recipe, output / "run", progress)
    head = _fit_head(teacher, material, recipe)
    _adapt(teacher, head, material, recipe, output / "run")
    head.fold_into(teacher.network.classifier)
    save_and_merge(teacher.network, output)
    teacher.network.save_pretrained(output)
    clip_processor(recipe.image_size).save_pretrained(output)
    training = {
        "commands": [*commands_of(data), *([command] if command else [])],
        "recipe": recipe.to_json(),
        "train_photos": Counter(sample.source for sample in train),
    }
    CheckpointRecord(licence=recipe.licence, limits=recipe.limits, training=training).write(output)
    shutil.rmtree(output / "run")
    return output


def _material(
    teacher: Teacher, train: Sequence[Sample], recipe: TeacherRecipe, run: Path, progress: Progress
) -> _Material:
    views = draw_views(train, recipe.views, recipe.seed)
    pixels = Views(train, views, recipe.augmentation)
    blocks = [recipe.frozen_blocks, recipe.class_blocks, recipe.patch_blocks]
    store = ViewStore(run / "tokens", len(views), [blocks, pixels.made_from])
    store.fill(pixels, teacher.lower(clip_processor(recipe.image_size)), progress)
    return _Material(
        store=store,
        views=views,
        targets=np.array([train[view.sample].target for view in views]),
        chances=view_weights(views, sample_weights(train, recipe.kinds), train),
    )


def _fit_head(teacher: Teacher, material: _Material, recipe: TeacherRecipe) -> StandardisedHead:
    """Fit the head on all views, by the tower as it is."""
    features = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
        for start in range(0, len(material.store), recipe.photos):
            indices = range(start, min(len(material.store), start + recipe.photos))
            features.append(teacher.features(_rows(material.store, indices)))
    every = torch.cat(features).clone()
    head = StandardisedHead(every)
    head.fit(every, material.targets, material.chances * len(every), recipe.head_penalty)
    return head


def _adapt(teacher: Teacher, head: StandardisedHead, material: _Material, recipe: TeacherRecipe, run: Path) -> None:
    adapters = add_adapters(teacher.network, range(recipe.frozen_blocks + 1, recipe.kept_blocks + 1), recipe.rank)
    loop = Loop(
        [
            Group(parameters=adapters, learning_rate=recipe.learning_rate),
            Group(parameters=dict(head.named_parameters()), learning_rate=recipe.head_learning_rate),
        ],
        Schedule(steps=recipe.steps, weight_decay=recipe.weight_decay, bf16=recipe.bf16),
        run,
        recipe.to_json(),
    )
    loop.resume()

    def loss(batch: Batch) -> torch.Tensor:
        margins = head(teacher.features(batch))
        shares = batch["labels"] * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
        first, second = margins.view(-1, 2).unbind(1)
        gap = ((first - second).square() * batch["same"]).mean()
        total: torch.Tensor = soft_cross_entropy(margins, shares) + recipe.consistency * gap
        return total

    loop.run(_batches(material, recipe, loop.step), loss)


def _batches(material: _Material, recipe: TeacherRecipe, start: int) -> Iterator[Batch]:
    """Give pairs of views from a step on: two of one photo, or a reconstruction and its original."""
    partners = _partners(material)
    for step in range(start, recipe.steps):
        rng = np.random.default_rng([recipe.seed, step])
        chosen = rng.choice(len(material.views), size=recipe.photos, p=material.chances)
        pairs = [(first, int(rng.choice(partners[first]))) for first in chosen.tolist()]
        indices = [index for pair in pairs for index in pair]
        labels = torch.from_numpy(material.targets[indices]).float()
        same = (labels.view(-1, 2).diff(dim=1) == 0).float().squeeze(1)
        yield {**_rows(material.store, indices), "labels": labels, "same": same}


def _partners(material: _Material) -> list[list[int]]:
    """List for each view those that it is shown with: its pair's other half, else the photo's other views."""
    by_seed: defaultdict[int, list[int]] = defaultdict(list)
    by_photo: defaultdict[int, list[int]] = defaultdict(list)
    for index, view in enumerate(material.views):
        by_seed[view.seed].append(index)
        by_photo[view.sample].append(index)
    groups = [by_seed[view.seed] if len(by_seed[view.seed]) > 1 else by_photo[view.sample] for view in material.views]
    return [[other for other in group if other != index] or [index] for index, group in enumerate(groups)]


def _rows(store: ViewStore, indices: Sequence[int]) -> dict[str, torch.Tensor]:
    return {name: store.rows(name, indices) for name in ("tokens", "features")}

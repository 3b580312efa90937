"""A fine-tuning recipe: every number that shapes a run, read from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from aiface_evaluation.errors import DataError
from aiface_export.checkpoint_record import Channels
from aiface_runtime.manifest import Filter

from .data.augmentation import Augmentation

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """What a run is made of.

    Attributes:
        init: Default start: a backbone's state dict (`.pth`) or a transformers checkpoint folder.
        image_size: Side of the network's square input in use, in pixels; that of the examples is the chain's `size`,
            by default the same.
        samples: How many examples the network sees, drawn balanced by source, in all.
        batch_size: Examples a step.
        learning_rate: Peak of the warm-up and cosine schedule.
        weight_decay: AdamW's.
        label_smoothing: Share of the target spread over both labels.
        freeze: Name prefixes of parameters that stay as they were.
        evaluations: How often val is measured during the run; the step that catches most at 1 % FPR is kept.
        reconstructions: Share of the AI photos drawn that are twins, where the data has any.
        cutmix: Share of the batches in which windows are exchanged between photos; 0 to 1.
        bf16: Run the network in bfloat16 autocast, where the device has it.
        seed: Of everything random.
        licence: Of the checkpoint that comes out.
        limits: What users of the model must know, for its card.
        augmentation: The augmentation.
    """

    init: str
    image_size: int
    samples: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    freeze: tuple[str, ...]
    evaluations: int
    reconstructions: float
    cutmix: float
    bf16: bool
    seed: int
    licence: str
    limits: str
    augmentation: Augmentation


@dataclass(frozen=True)
class ReferenceRecipe:
    """What a run of the seed's ResNet is made of; it starts from random weights.

    Attributes:
        width: Channels of the network's first stage.
        image_size: Side of the network's square input, in pixels.
        channels: The order in which it is fed.
        resize: The filter with which whole photos are squashed to its input, on val and in use.
        samples: How many examples the network sees, drawn balanced by source, in all.
        batch_size: Examples a step.
        learning_rate: Adam's, the same throughout.
        evaluations: How often val is measured and the state is kept during the run; the best by AUC is kept.
        bf16: Compute in bfloat16 (weights stay float32), where the device has it.
        seed: Of everything random.
        licence: Of the network that comes out.
        limits: What users of the model must know, for its card.
        augmentation: The augmentation.
    """

    width: int
    image_size: int
    channels: Channels
    resize: Filter
    samples: int
    batch_size: int
    learning_rate: float
    evaluations: int
    bf16: bool
    seed: int
    licence: str
    limits: str
    augmentation: Augmentation


AnyRecipe = TypeVar("AnyRecipe", Recipe, ReferenceRecipe)


def load_recipe(name: str, kind: type[AnyRecipe], changes: Sequence[str] = ()) -> AnyRecipe:
    """Read a recipe by the name of a file in `recipes/` or by path.

    Args:
        name: Of the recipe, or its path.
        kind: Which of the two.
        changes: Assignments in TOML that override it: `cutmix=0.0`, `augmentation.colour_transfer=0.0`.

    Raises:
        DataError: No such recipe, a field too many or too few for its kind, or a change that is no assignment.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise DataError(f"{name}: no such recipe; give one of {known}, or a .toml file")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        for change in changes:
            _merge(values, tomllib.loads(change))
        augmentation = Augmentation(**{"size": values["image_size"], **_with_tuples(values.pop("augmentation", {}))})
        return kind(**{**_with_tuples(values), "augmentation": augmentation})
    except (tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        wanted = ", ".join(field.name for field in fields(kind))
        raise DataError(f"{path}: not such a recipe ({error}); it needs exactly {wanted}") from error


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, dict):
            _merge(values.setdefault(name, {}), value)
        else:
            values[name] = value

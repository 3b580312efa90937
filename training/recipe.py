"""A training recipe: every number that shapes a run, read from a TOML file and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from aiface_evaluation.errors import DataError
from aiface_export.checkpoint_record import Channels
from aiface_runtime.steps import Filter

from .data.augmentation import Augmentation, Share

RECIPES = Path(__file__).parent / "recipes"

# Keys of recipes before version 0.2, and what they are called now.
_RENAMED = {
    "twins": "reconstructions",
    "chain": "augmentation",
    "chain.gentle": "augmentation.weak",
    "chain.gentle_pairs": "augmentation.weak_pairs",
    "chain.level": "augmentation.resize_range",
    "chain.tone": "augmentation.colour_transfer",
    "augmentation.small": "augmentation.min_size",
    "augmentation.style": "augmentation.colour_jitter",
    "augmentation.recode": "augmentation.recompression",
}


class BaseRecipe(BaseModel):
    """What the recipes of all networks have in common.

    Attributes:
        image_size: Side of the network's square input in use, in pixels; the examples have the augmentation's `size`,
            by default the same.
        bf16: Whether to compute in bfloat16 (weights stay float32), where the device has it.
        seed: Random seed of everything.
        licence: Licence of the network that comes out.
        limits: Warnings for users of the model, for its card.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    image_size: PositiveInt
    bf16: bool
    seed: Annotated[int, Field(ge=0)]
    licence: str
    limits: str

    def to_json(self) -> dict[str, Any]:
        """Return what shapes the run, without the texts, for its record."""
        return self.model_dump(mode="json", exclude={"licence", "limits"})


class AugmentedRecipe(BaseRecipe):
    """What recipes have in common that augment photos.

    Attributes:
        augmentation: Random changes that each example goes through.
    """

    augmentation: Augmentation


class ExamplesRecipe(AugmentedRecipe):
    """What recipes have in common whose network sees examples drawn anew, and is measured on val on its way.

    Attributes:
        samples: Number of examples that the network sees in all, balanced by source.
        batch_size: Examples a step; at most `samples`.
        learning_rate: Peak of the schedule, above 0.
        evaluations: Number of times that val is measured during the run; the best state is kept.
    """

    samples: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    evaluations: PositiveInt

    @model_validator(mode="after")
    def _has_a_batch(self) -> Self:
        if self.samples < self.batch_size:
            raise ValueError(f"{self.samples} samples are less than one batch of {self.batch_size}")
        return self


class FinetuneRecipe(ExamplesRecipe):
    """How a pretrained network is fine-tuned: AdamW with warm-up and a cosine schedule.

    Attributes:
        init: Default start: a backbone's state dict (`.pth`) or a transformers checkpoint folder.
        weight_decay: Weight decay of AdamW, at least 0.
        label_smoothing: Share of the target that is spread over both labels.
        freeze: Name prefixes of parameters that stay as they were.
        reconstructions: Share of the AI photos that are reconstructions of real ones, where the data has any.
        cutmix: Share of the batches in which windows are exchanged between photos.
    """

    init: str
    weight_decay: Annotated[float, Field(ge=0)]
    label_smoothing: Share
    freeze: tuple[str, ...]
    reconstructions: Share
    cutmix: Share


class ReferenceRecipe(ExamplesRecipe):
    """How the reference ResNet is trained from random weights: Adam at a constant rate.

    Attributes:
        width: Channels of the network's first stage.
        channels: The order in which the network is fed.
        resize: The filter with which whole photos are squashed to the network's input, on val and in use.
    """

    width: PositiveInt
    channels: Channels
    resize: Filter

    @model_validator(mode="after")
    def _has_a_batch_an_evaluation(self) -> Self:
        if self.samples < self.batch_size * self.evaluations:
            raise ValueError(f"{self.samples} samples are less than one batch of {self.batch_size} an evaluation")
        return self


AnyRecipe = TypeVar("AnyRecipe", bound=BaseRecipe)


def load_recipe(name: str, kind: type[AnyRecipe], changes: Sequence[str] = ()) -> AnyRecipe:
    """Read a recipe by the name of a file in `recipes/` or by path.

    Args:
        name: Name of the recipe, or its path.
        kind: The class to read it as.
        changes: Assignments in TOML that override it: `cutmix=0.0`, `augmentation.colour_transfer=0.0`.

    Raises:
        DataError: There is no such recipe, it cannot be read, or a key or a value is wrong; one line.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise DataError(f"{name}: no such recipe; give one of {known}, or a .toml file")
    values = _parse(path.read_bytes(), str(path))
    for change in changes:
        _merge(values, _parse(change.encode(), f"--set {change}"))
    augmentation = values.get("augmentation", {})
    if "augmentation" in kind.model_fields and isinstance(augmentation, dict):
        values["augmentation"] = {"size": values.get("image_size"), **augmentation}
    try:
        return kind.model_validate(_with_tuples(values))
    except ValidationError as error:
        raise DataError(f"{path}: {'; '.join(_complaints(error, values))}") from error


def _parse(text: bytes, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8 ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name}: not TOML ({error})") from error


def _complaints(error: ValidationError, values: Mapping[str, Any]) -> Iterator[str]:
    """Name each wrong field and what is wrong with it; of a key that was renamed, its new name."""
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            yield from (_unknown(each) for each in _leaves(key, values))
        elif item["type"] == "missing":
            yield f"{key} is missing"
        else:
            message = item["msg"].removeprefix("Value error, ")
            yield f"{key}: {message} (it is {item['input']!r})" if key else message


def _unknown(key: str) -> str:
    return f"{key} is now called {_RENAMED[key]}" if key in _RENAMED else f"{key}: no such key"


def _leaves(key: str, values: Mapping[str, Any]) -> list[str]:
    """List a key and, where it is a renamed table, those of its keys that were renamed too."""
    table = values.get(key)
    inside = [f"{key}.{name}" for name in table] if isinstance(table, dict) else []
    return [key, *(name for name in inside if name in _RENAMED)]


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn TOML's lists, which strict types would refuse, into tuples."""
    return {name: _immutable(value) for name, value in values.items()}


def _immutable(value: Any) -> Any:
    if isinstance(value, dict):
        return _with_tuples(value)
    return tuple(value) if isinstance(value, list) else value


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(values.setdefault(name, {}), dict):
            _merge(values[name], value)
        else:
            values[name] = value

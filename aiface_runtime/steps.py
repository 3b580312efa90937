"""Resizes and crops that lead from a photo of any size to a model's input, as a manifest lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from .json_fields import integer_of, list_of, object_of, quoted

SIDES = range(1, 1025)  # pixels of the input and of what a step makes; the largest networks known here take 518
_COUNTS = range(1, 9)

# The last one is OpenCV's bilinear, which looks at four pixels however much it shrinks; the others are Pillow's.
Filter: TypeAlias = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos", "bilinear_no_antialias"]
FILTERS: tuple[Filter, ...] = get_args(Filter)


@dataclass(frozen=True, slots=True)
class Resize:
    """Squash to `height` x `width`."""

    height: int
    width: int
    filter: Filter


@dataclass(frozen=True, slots=True)
class ResizeShorter:
    """Scale so that the shorter side is `size`; the longer one is rounded down."""

    size: int
    filter: Filter


@dataclass(frozen=True, slots=True)
class CenterCrop:
    """Cut `height` x `width` out of the middle; of an odd rest the smaller half lies before it, as in transformers."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class CenterCropToEven:
    """Cut `height` x `width` out of the middle; half a pixel is rounded to an even number, as in torchvision."""

    height: int
    width: int


Step: TypeAlias = Resize | ResizeShorter | CenterCrop | CenterCropToEven
_STEPS: dict[str, type[Step]] = {
    "resize": Resize,
    "resize_shorter": ResizeShorter,
    "center_crop": CenterCrop,
    "center_crop_to_even": CenterCropToEven,
}
StepJson: TypeAlias = dict[str, str | int]  # `op`, and the fields of the step
_STEP_NAMES = {kind: name for name, kind in _STEPS.items()}


def step_to_json(step: Step) -> StepJson:
    """Return a step as the manifest writes it and `parse_manifest` reads it back."""
    return {"op": _STEP_NAMES[type(step)]} | {name: getattr(step, name) for name in step.__slots__}


def parse_steps(value: object, height: int, width: int) -> tuple[Step, ...]:
    """Read the steps of an input of `height` x `width`.

    Raises:
        ValueError: No list of known steps, or one that does not end at that size for every photo.
        LookupError: A field is missing.
    """
    steps = tuple(_parse_step(object_of(step, "a step")) for step in list_of(value, "steps", _COUNTS))
    _check_size(steps, height, width)
    return steps


def _parse_step(values: Mapping[str, object]) -> Step:
    name = values["op"]
    if not isinstance(name, str) or name not in _STEPS:
        raise ValueError(f"has the unknown step {quoted(name)}")
    kind = _STEPS[name]
    if set(values) != {"op", *kind.__slots__}:
        raise ValueError(f"has a step {quoted(name)} with fields {quoted(sorted(values))}")
    fields: dict[str, Any] = {
        field: integer_of(values[field], field, SIDES) for field in kind.__slots__ if field != "filter"
    }
    if "filter" in kind.__slots__:
        if values["filter"] not in FILTERS:
            raise ValueError(f"has the unknown filter {quoted(values['filter'])}")
        fields["filter"] = values["filter"]
    return kind(**fields)


def _check_size(steps: tuple[Step, ...], height: int, width: int) -> None:
    """Refuse steps that do not end at the graph's input for every photo, or a crop that can reach outside of one."""
    min_size: tuple[int, int] | None = None  # height and width that every photo has here; None before any resize
    exact = False
    for step in steps:
        if isinstance(step, ResizeShorter):
            min_size, exact = (step.size, step.size), False
        elif isinstance(step, Resize):
            min_size, exact = (step.height, step.width), True
        else:
            if min_size is None or step.height > min_size[0] or step.width > min_size[1]:
                raise ValueError(f"has a crop of {step.height} x {step.width} that can reach outside the photo")
            min_size, exact = (step.height, step.width), True
    if not exact or min_size != (height, width):
        raise ValueError(f"has steps that do not end at its input of {height} x {width}")

"""The manifest that a model file carries: JSON under the key `aiface` of the ONNX `metadata_props`, parsed strictly.

The runtime acts on the fields below. Everything else that the export recorded (evaluation, parity proof, training data,
source and its hash, tool versions, licence, limits) is kept whole in `Manifest.document`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeGuard, get_args

from .errors import ManifestError, UsageError

KEY = "aiface"
SCHEMA = 1
# The graph's input and its outputs.
IMAGE, PROBABILITIES, EVIDENCE, FACES = "image", "probabilities", "evidence", "faces"

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


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Thresholds on `p_ai`: below `real_below` real, from `ai_from` on AI, uncertain between."""

    real_below: float
    ai_from: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The graph's output `evidence`, a class activation map of `height` x `width` cells.

    Each cell is what a part of the input adds to the log-odds of AI, which are the mean over the cells plus `bias`. Of
    more than two labels, those are the mean log-probability of the labels that mean AI less the others'.
    """

    height: int
    width: int
    bias: float


@dataclass(frozen=True, slots=True)
class FaceMap:
    """The graph's output `faces`: for each of `height` x `width` cells the probability that a face lies in it.

    Attributes:
        height: Number of rows.
        width: Number of columns.
        present_from: Probability of the likeliest cell, 0 to 1, from which on there is a face.
        cell_from: Probability, 0 to 1, from which on a cell counts as covered by a face.
        small_below: Share of all cells, 0 to 1, below which the largest face counts as small.
    """

    height: int
    width: int
    present_from: float
    cell_from: float
    small_below: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """The part of a manifest that the runtime acts on.

    Attributes:
        name: The model's name.
        version: The model's own version.
        labels: Names of the classes, in output order.
        ai_labels: The labels that mean AI-generated; `p_ai` is the sum of their probabilities.
        height: Height of the graph's input, in pixels.
        width: Width of the graph's input, in pixels.
        steps: Resizes and crops that lead from a photo of any size to that input, in this order.
        scaled_decoding: Multiple of the first resize's sides that must remain, 1 to 64, when a JPEG is decoded at a
            half, a quarter or an eighth of its size; None where every pixel counts, as where the original's answers are
            to be met exactly.
        operating_points: Thresholds by name.
        evidence: Class activation map that the graph returns too; None where the network does not allow one.
        faces: Face map that the graph returns too; None where the network has none.
        document: The whole manifest as it was read.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    ai_labels: tuple[str, ...]
    height: int
    width: int
    steps: tuple[Step, ...]
    scaled_decoding: float | None
    operating_points: Mapping[str, OperatingPoint]
    evidence: Evidence | None
    faces: FaceMap | None
    document: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Name and version, as results carry it."""
        return f"{self.name}@{self.version}"

    def operating_point(self, name: str) -> OperatingPoint:
        """Look up thresholds by name.

        Raises:
            UsageError: The model has no such operating point.
        """
        try:
            return self.operating_points[name]
        except KeyError:
            known = ", ".join(self.operating_points)
            raise UsageError(f"operating point {name!r}: {self.id} has {known}") from None


def step_to_json(step: Step) -> StepJson:
    """Return a step as the manifest writes it and `parse_manifest` reads it back."""
    return {"op": _STEP_NAMES[type(step)]} | {name: getattr(step, name) for name in step.__slots__}


def parse_manifest(text: str, origin: str) -> Manifest:
    """Parse and check a manifest.

    Args:
        text: The JSON.
        origin: The model's name or path, for messages.

    Raises:
        ManifestError: Not JSON, another schema, or a field that is missing, of the wrong kind or contradictory.
    """
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("is not an object")
        if document.get("schema") != SCHEMA:
            raise ValueError(f"has schema {document.get('schema')!r}, this version reads {SCHEMA}; upgrade aiface")
        return _checked(document)
    except (ValueError, TypeError, KeyError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise ManifestError(f"{origin}: the model's manifest {reason}; export the model again") from error


def _checked(document: Mapping[str, object]) -> Manifest:
    labels, ai_labels = _names(document, "labels"), _names(document, "ai_labels")
    if len(labels) < 2 or not set(ai_labels) < set(labels):
        raise ValueError(f"has ai_labels {ai_labels} that are not some of the labels {labels}")
    graph_input = _object(document["input"], "input")
    height, width = _pixels(graph_input, "height"), _pixels(graph_input, "width")
    steps = tuple(_step(_object(step, "step")) for step in _list(graph_input["steps"], "steps"))
    _check_size(steps, height, width)
    points = {
        name: _operating_point(name, _object(point, "operating point"))
        for name, point in _object(document["operating_points"], "operating_points").items()
    }
    if not points:
        raise ValueError("has no operating point")
    name, version = document["name"], document["version"]
    if not (isinstance(name, str) and name and isinstance(version, str) and version):
        raise ValueError("has no name or version")
    scaled = _scaled_decoding(graph_input, steps)
    evidence, faces = _evidence(document.get("evidence")), _face_map(document.get("faces"))
    return Manifest(name, version, labels, ai_labels, height, width, steps, scaled, points, evidence, faces, document)


def _object(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"has {field} {value!r}, not an object")
    return value


def _list(value: object, field: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise ValueError(f"has {field} {value!r}, not a list")
    return value


def _names(document: Mapping[str, object], field: str) -> tuple[str, ...]:
    names = document[field]
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"has {field} that are not names: {names!r}")
    if not names or len(set(names)) != len(names):
        raise ValueError(f"has {field} that are empty or repeat: {names!r}")
    return tuple(names)


def _pixels(values: Mapping[str, object], field: str) -> int:
    value = values[field]
    if type(value) is not int or not 1 <= value <= 4096:
        raise ValueError(f"has {field} {value!r}, not 1 to 4096 pixels")
    return value


def _step(values: Mapping[str, object]) -> Step:
    kind = _STEPS.get(str(values["op"]))
    if kind is None:
        raise ValueError(f"has the unknown step {values['op']!r}")
    if set(values) != {"op", *kind.__slots__}:
        raise ValueError(f"has a step {values['op']!r} with fields {sorted(values)}")
    fields: dict[str, Any] = {name: _pixels(values, name) for name in kind.__slots__ if name != "filter"}
    if "filter" in kind.__slots__:
        if values["filter"] not in FILTERS:
            raise ValueError(f"has the unknown filter {values['filter']!r}")
        fields["filter"] = values["filter"]
    return kind(**fields)


def _scaled_decoding(graph_input: Mapping[str, object], steps: tuple[Step, ...]) -> float | None:
    value = graph_input.get("scaled_decoding")
    if value is None:
        return None
    if not _is_number(value) or not 1 <= value <= 64:
        raise ValueError(f"has scaled_decoding {value!r}, not 1 to 64")
    if not isinstance(steps[0], (Resize, ResizeShorter)) or steps[0].filter == "bilinear_no_antialias":
        raise ValueError("has scaled_decoding, but does not begin with a resize that averages")
    return float(value)


def _is_number(value: object) -> TypeGuard[int | float]:
    return type(value) in (int, float)  # not bool, which is an int too


def _evidence(value: object) -> Evidence | None:
    if value is None:
        return None
    values = _object(value, "evidence")
    bias = values["bias"]
    if not _is_number(bias) or not math.isfinite(bias):
        raise ValueError(f"has evidence with the bias {bias!r}")
    return Evidence(_pixels(values, "height"), _pixels(values, "width"), float(bias))


def _face_map(value: object) -> FaceMap | None:
    if value is None:
        return None
    values = _object(value, "faces")
    thresholds = (_share(values, name) for name in ("present_from", "cell_from", "small_below"))
    return FaceMap(_pixels(values, "height"), _pixels(values, "width"), *thresholds)


def _share(values: Mapping[str, object], field: str) -> float:
    value = values[field]
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"has {field} {value!r}, not 0 to 1")
    return float(value)


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


def _operating_point(name: str, values: Mapping[str, object]) -> OperatingPoint:
    low, high = values["real_below"], values["ai_from"]
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and 0 <= low <= high <= 1):
        raise ValueError(f"has operating point {name!r} with thresholds {low!r} and {high!r}")
    return OperatingPoint(float(low), float(high))

"""The manifest that a model file carries: JSON under the key `aiface` of the ONNX `metadata_props`, parsed strictly.

The runtime acts on the fields below. Everything else that the export recorded (evaluation, parity proof, training data,
source and its hash, tool versions, licence, limits) is kept whole in `Manifest.document`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .errors import ManifestError, UsageError
from .json_fields import integer_of, name_of, names_of, number_of, object_of, parse_object, quoted
from .reasons import MeasuredReasons, Reason, Rule
from .self_test import UNSTORED, SelfTest, parse_self_test
from .steps import SIDES, Resize, ResizeShorter, Step, parse_steps

KEY = "aiface"
SCHEMA = 1
# The graph's input and its outputs.
IMAGE, PROBABILITIES, EVIDENCE, FACES = "image", "probabilities", "evidence", "faces"
MAX_CHARACTERS = 4 * 2**20  # of the JSON; the bundled files have some 60,000
_CELLS = range(1, 257)  # rows or columns of a map
_LABELS, _POINTS = range(2, 1001), range(1, 101)
_MAX_REASON = 300  # characters
_MAX_RATIO = 1000  # of two shares of errors, a thousandth being the smallest that so many photos can show
_SHA256 = re.compile("[0-9a-f]{64}")


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
        reasons: Reasons that were measured to make errors more frequent; None of files made before there were any.
        graph_sha256: Hash of all of the file but its metadata; None of files made before there was one.
        self_test: Inputs and the file's answers to them.
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
    reasons: MeasuredReasons | None
    graph_sha256: str | None
    self_test: SelfTest
    document: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Name and version, as results carry it."""
        return f"{self.name}@{self.version}"

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each of the graph's outputs for one photo, by name."""
        shapes: dict[str, tuple[int, ...]] = {PROBABILITIES: (len(self.labels),)}
        for name, cells in ((FACES, self.faces), (EVIDENCE, self.evidence)):
            if cells is not None:
                shapes[name] = cells.height, cells.width
        return shapes

    def operating_point(self, name: str) -> OperatingPoint:
        """Look up thresholds by name.

        Raises:
            UsageError: The model has no such operating point.
        """
        if isinstance(name, str) and name in self.operating_points:
            return self.operating_points[name]
        raise UsageError(f"operating point {name!r}: {self.id} has {', '.join(self.operating_points)}")


def parse_manifest(text: str, origin: str) -> Manifest:
    """Parse and check a manifest.

    Args:
        text: The JSON.
        origin: The model's name or path, for messages.

    Raises:
        ManifestError: Not JSON, too long, another schema, or a field that is missing, of the wrong kind or size, or
            contradictory.
    """
    try:
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"has {len(text):,} characters, more than {MAX_CHARACTERS:,}")
        return _checked(parse_object(text))
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        reason = f"lacks {quoted(error.args[0])}" if isinstance(error, KeyError) else str(error)[:_MAX_REASON]
        raise ManifestError(f"{origin}: the model's manifest {reason}; export the model again") from error


def _checked(document: Mapping[str, object]) -> Manifest:
    if type(schema := document.get("schema")) is not int or schema != SCHEMA:
        raise ValueError(f"has schema {quoted(schema)}, this version reads {SCHEMA}; upgrade aiface")
    labels = names_of(document["labels"], "labels", _LABELS)
    graph_input = object_of(document["input"], "input")
    height, width = _sides(graph_input, SIDES)
    steps = parse_steps(graph_input["steps"], height, width)
    manifest = Manifest(
        name=name_of(document["name"], "name"),
        version=name_of(document["version"], "version"),
        labels=labels,
        ai_labels=_ai_labels(document["ai_labels"], labels),
        height=height,
        width=width,
        steps=steps,
        scaled_decoding=_scaled_decoding(graph_input.get("scaled_decoding"), steps),
        operating_points=_operating_points(object_of(document["operating_points"], "operating_points")),
        evidence=_evidence(document.get("evidence")),
        faces=_face_map(document.get("faces")),
        reasons=_reasons(document.get("reasons")),
        graph_sha256=_sha256(document.get("graph_sha256")),
        self_test=UNSTORED,
        document=document,
    )
    return replace(manifest, self_test=parse_self_test(document.get("self_test"), manifest.output_shapes))


def _ai_labels(value: object, labels: tuple[str, ...]) -> tuple[str, ...]:
    ai_labels = names_of(value, "ai_labels", range(1, len(labels)))
    if not set(ai_labels) < set(labels):
        raise ValueError(f"has ai_labels {quoted(ai_labels)} that are not some of the labels {quoted(labels)}")
    return ai_labels


def _sides(values: Mapping[str, object], allowed: range) -> tuple[int, int]:
    return integer_of(values["height"], "height", allowed), integer_of(values["width"], "width", allowed)


def _scaled_decoding(value: object, steps: tuple[Step, ...]) -> float | None:
    if value is None:
        return None
    if not isinstance(steps[0], (Resize, ResizeShorter)) or steps[0].filter == "bilinear_no_antialias":
        raise ValueError("has scaled_decoding, but does not begin with a resize that averages")
    return number_of(value, "scaled_decoding", 1, 64)


def _evidence(value: object) -> Evidence | None:
    if value is None:
        return None
    values = object_of(value, "evidence")
    return Evidence(*_sides(values, _CELLS), number_of(values["bias"], "bias"))


def _face_map(value: object) -> FaceMap | None:
    if value is None:
        return None
    values = object_of(value, "faces")
    thresholds = (number_of(values[name], name, 0, 1) for name in ("present_from", "cell_from", "small_below"))
    return FaceMap(*_sides(values, _CELLS), *thresholds)


def _reasons(value: object) -> MeasuredReasons | None:
    if value is None:
        return None
    values = object_of(value, "reasons")
    rules = object_of(values["rules"], "rules")
    known: dict[str, Rule] = {
        reason: _rule(object_of(rules[reason], reason)) for reason in Reason if reason in rules
    }  # of this version
    strongest = dict(sorted(known.items(), key=lambda item: -(item[1].ratio or 0)))
    return MeasuredReasons(name_of(values["operating_point"], "operating_point"), strongest)


def _rule(values: Mapping[str, object]) -> Rule:
    limit = None if values.get("limit") is None else number_of(values["limit"], "limit", 0)
    return Rule(limit, number_of(values["ratio"], "ratio", 0, _MAX_RATIO))


def _sha256(value: object) -> str | None:
    if value is None or (isinstance(value, str) and _SHA256.fullmatch(value)):
        return value
    raise ValueError(f"has graph_sha256 {quoted(value)}, not 64 hexadecimal digits")


def _operating_points(values: Mapping[str, object]) -> dict[str, OperatingPoint]:
    if len(values) not in _POINTS:
        raise ValueError(f"has {len(values)} operating points, not 1 to {_POINTS[-1]}")
    return {
        name_of(name, "an operating point"): _operating_point(object_of(point, "an operating point"))
        for name, point in values.items()
    }


def _operating_point(values: Mapping[str, object]) -> OperatingPoint:
    low, high = (number_of(values[name], name, 0, 1) for name in ("real_below", "ai_from"))
    if low > high:
        raise ValueError(f"has an operating point with real_below {low:g} above ai_from {high:g}")
    return OperatingPoint(low, high)

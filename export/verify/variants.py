"""Variants of a graph in fewer bits, and how far their answers are from the original's."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from aiface_evaluation.records.json_record import JsonRecord
from aiface_evaluation.types import Scores
from aiface_runtime.cpu_limits import usable_cores
from aiface_runtime.manifest import FACES, IMAGE, PROBABILITIES

from ..graph.convert import quiet
from ..graph.quantize import METHODS, Method, to_fp16, to_int8, write_ranges
from ..graph.session import open_session
from ..options import VariantName
from .parity import has_face

_BATCH = 16
_Errors: TypeAlias = dict[tuple[Method, int], float]  # mean absolute difference, by method and bits


@dataclass(frozen=True, kw_only=True)
class VariantMetrics(JsonRecord):
    """How far a graph's answers are from the original's on held-out photos.

    Attributes:
        images: Number of photos.
        max_difference: Largest absolute difference of any probability.
        mean_difference: Mean over photos of each one's largest difference.
        label_agreement: Share of photos with the same likeliest label, 0 to 1.
        auc: Area under the ROC curve of P(AI), 0 to 1; None where labels are not known.
        auc_of_original: Area under the ROC curve of the original's P(AI); None where labels are not known.
        auc_not_measured: Reason why labels are not known; None where they are.
        face_agreement: Share of photos of which both say that there is a face, or that there is none, 0 to 1; None
            without face map.
    """

    images: int
    max_difference: float
    mean_difference: float
    label_agreement: float
    auc: float | None
    auc_of_original: float | None
    auc_not_measured: str | None = None
    face_agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class Int8Settings(JsonRecord):
    """How an int8 variant was made, as the manifest has it.

    Attributes:
        calibration: Method by which the activations' ranges were measured, one of `METHODS`.
        weight_bits: Bits of a weight, 8 or 7.
        calibration_images: Number of photos they were measured on.
        mean_difference_by_calibration: Mean absolute difference from fp32's probabilities by each method and number of
            bits tried, as `minmax, 8 bits`.
    """

    calibration: str
    weight_bits: int
    calibration_images: int
    mean_difference_by_calibration: Mapping[str, float]


@dataclass(frozen=True)
class VariantEvaluator:
    """What variants are measured with.

    Attributes:
        pixels: uint8 `[N, height, width, 3]`, held-out photos.
        original: float64 `[N, C]`, the original's probabilities.
        ai_indices: Columns of the labels that mean AI-generated.
        targets: int `[N]`, 1 for AI; None where labels are not known.
        unlabelled_reason: Reason why labels are not known; empty where they are.
        faces: float32 `[N, h, w]`, the original's face maps, 0 to 1; None of a network without face head.
        present_from: Probability of the likeliest cell from which on there is a face.
    """

    pixels: NDArray[np.uint8]
    original: Scores
    ai_indices: Sequence[int]
    targets: NDArray[np.int_] | None
    unlabelled_reason: str = ""
    faces: NDArray[np.float32] | None = None
    present_from: float = 0.0

    def measure(self, graph: onnx.ModelProto) -> VariantMetrics:
        """Compare a graph's answers to the held-out photos with the original's."""
        if self.faces is None:
            return self.metrics(probabilities_of(graph, self.pixels))
        probabilities, faces = _outputs_of(graph, self.pixels, (PROBABILITIES, FACES))
        agrees = has_face(faces, self.present_from) == has_face(self.faces, self.present_from)
        return replace(self.metrics(probabilities), face_agreement=float(agrees.mean()))

    def metrics(self, probabilities: Scores) -> VariantMetrics:
        """Compare probabilities, float64 `[N, C]`, with the original's; a photo that has one not finite disagrees."""
        valid = np.isfinite(probabilities).all(axis=1)
        probabilities = np.where(np.isfinite(probabilities), probabilities, 0.0)
        difference = np.abs(probabilities - self.original).max(axis=1)
        agrees = valid & (probabilities.argmax(1) == self.original.argmax(1))
        return VariantMetrics(
            images=len(probabilities),
            max_difference=float(difference.max()),
            mean_difference=float(difference.mean()),
            label_agreement=float(agrees.mean()),
            auc=self._auc(probabilities),
            auc_of_original=self._auc(self.original),
            auc_not_measured=self.unlabelled_reason if self.targets is None else None,
        )

    def _auc(self, probabilities: Scores) -> float | None:
        if self.targets is None:
            return None
        return float(roc_auc_score(self.targets, probabilities[:, self.ai_indices].sum(axis=1)))


@dataclass(frozen=True)
class Fp16Variant:
    """Weights and activations in float16.

    Attributes:
        graph: Graph by `assemble`, in fp32.
    """

    graph: onnx.ModelProto

    @property
    def settings(self) -> None:
        """None: there is nothing to choose."""
        return None

    def make(self, in_float: Collection[str] = ()) -> onnx.ModelProto:
        """Convert the graph but for the nodes of these names."""
        with quiet():
            return to_fp16(self.graph, in_float=in_float)


@dataclass(frozen=True)
class Int8Variant:
    """Static int8 by the ranges and bits that come closest to fp32 on the calibrating photos.

    Attributes:
        graph: Graph by `assemble`, in fp32.
        ranges: File of the activations' ranges, from `write_ranges`.
        method: Rule by which the ranges were measured.
        bits: Bits of a weight, 8 or 7.
        images: Number of photos they were measured on.
        errors: Mean absolute difference from fp32's probabilities by each method and number of bits tried.
    """

    graph: onnx.ModelProto
    ranges: Path
    method: Method
    bits: int
    images: int = 0
    errors: Mapping[tuple[Method, int], float] = field(default_factory=dict)

    @property
    def settings(self) -> Int8Settings:
        """Method, bits and what they were chosen by."""
        return Int8Settings(
            calibration=self.method,
            weight_bits=self.bits,
            calibration_images=self.images,
            mean_difference_by_calibration={
                f"{method}, {bits} bits": error for (method, bits), error in self.errors.items()
            },
        )

    def make(self, in_float: Collection[str] = ()) -> onnx.ModelProto:
        """Quantise the graph but for the nodes of these names."""
        with quiet():
            return to_int8(self.graph, self.ranges, self.method, weight_bits=self.bits, in_float=in_float)


class Variant(Protocol):
    """A graph in fewer bits, with as many nodes left in float as are named."""

    @property
    def settings(self) -> Int8Settings | None:
        """What was chosen to make it; None where there is nothing to choose."""
        ...

    def make(self, in_float: Collection[str] = ()) -> onnx.ModelProto:
        """Convert the graph but for the nodes of these names."""
        ...


@contextmanager
def open_variant(name: VariantName, graph: onnx.ModelProto, calibrating: NDArray[np.uint8]) -> Iterator[Variant]:
    """Prepare a variant, which may keep files while it is open.

    Args:
        name: Name of the variant.
        graph: Graph by `assemble`, in fp32.
        calibrating: uint8 `[N, height, width, 3]`, for int8 only.
    """
    if name == "fp16":
        yield Fp16Variant(graph)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield fit_int8(graph, calibrating, Path(folder))


def fit_int8(graph: onnx.ModelProto, calibrating: NDArray[np.uint8], folder: Path) -> Int8Variant:
    """Choose method and bits by their error on the calibrating photos: those held out stay out of the choice.

    Args:
        graph: Graph by `assemble`, in fp32.
        calibrating: uint8 `[N, height, width, 3]`.
        folder: Folder for the files of ranges.
    """
    expected = probabilities_of(graph, calibrating)
    errors: _Errors = {}
    for method in METHODS:
        with quiet():
            write_ranges(graph, calibrating, method, folder / method)
        errors[method, 8] = mean_error(Int8Variant(graph, folder / method, method, 8).make(), calibrating, expected)
    best, _ = min(errors, key=lambda key: errors[key])
    errors[best, 7] = mean_error(Int8Variant(graph, folder / best, best, 7).make(), calibrating, expected)
    method, bits = min(errors, key=lambda key: errors[key])
    return Int8Variant(graph, folder / method, method, bits, len(calibrating), errors)


def mean_error(graph: onnx.ModelProto, pixels: NDArray[np.uint8], expected: Scores) -> float:
    """Give the mean absolute difference of a graph's probabilities from those expected; what is not finite counts 0."""
    return float(np.abs(np.nan_to_num(probabilities_of(graph, pixels)) - expected).mean())


def probabilities_of(graph: onnx.ModelProto, pixels: NDArray[np.uint8]) -> Scores:
    """Run a graph on uint8 `[N, height, width, 3]`: float64 `[N, C]`."""
    return _outputs_of(graph, pixels, (PROBABILITIES,))[0]


def _outputs_of(graph: onnx.ModelProto, pixels: NDArray[np.uint8], names: Sequence[str]) -> list[Scores]:
    """Run a graph on uint8 `[N, height, width, 3]`: float64 `[N, …]` for each name."""
    session = open_session(graph, usable_cores())
    batches = [session.run(names, {IMAGE: pixels[n : n + _BATCH]}) for n in range(0, len(pixels), _BATCH)]
    return [np.concatenate(parts).astype(np.float64) for parts in zip(*batches, strict=True)]

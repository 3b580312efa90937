"""Variants of a graph in fewer bits, and the choices by which each is made."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Protocol, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_evaluation.records.json_record import JsonRecord

from ..graph.convert import quiet
from ..graph.quantize import METHODS, Method, layers, to_fp16, to_int8, write_ranges
from ..graph.weights import BLOCK_SIZES, Matrices, WeightBits, round_matrices, to_weights, with_weights
from ..options import VariantName
from .evaluator import mean_error, probabilities_of

_WEIGHT_BITS: Mapping[VariantName, WeightBits] = {
    "fp16-weights": 16,
    "int8-weights": 8,
    "int6-weights": 6,
    "int4-weights": 4,
}
Spared: TypeAlias = Literal["in_float", "in_int8"]  # what is left of a layer that is too sensitive for a variant
_Errors: TypeAlias = dict[tuple[Method, int], float]  # mean absolute difference, by method and bits


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


@dataclass(frozen=True, kw_only=True)
class WeightSettings(JsonRecord):
    """How a variant whose weights alone are in fewer bits was made, as the manifest has it.

    Attributes:
        weight_bits: Bits of a weight, 16, 8, 6 or 4.
        block_size: Number of weights that share a scale; 0 where a column does, or nothing.
        calibration_images: Number of photos on which products were to change least; 0 where weights were rounded to
            the nearest.
    """

    weight_bits: int
    block_size: int = 0
    calibration_images: int = 0


Settings: TypeAlias = Int8Settings | WeightSettings


@dataclass(frozen=True)
class Fp16Variant:
    """Weights and activations in float16.

    Attributes:
        graph: Graph by `assemble`, in fp32.
    """

    spared: ClassVar[Spared] = "in_float"
    graph: onnx.ModelProto

    @property
    def layers(self) -> list[list[str]]:
        """All that `assemble` and the heads leave."""
        return layers(self.graph)

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

    spared: ClassVar[Spared] = "in_float"
    graph: onnx.ModelProto
    ranges: Path
    method: Method
    bits: int
    images: int = 0
    errors: Mapping[tuple[Method, int], float] = field(default_factory=dict)

    @property
    def layers(self) -> list[list[str]]:
        """All that `assemble` and the heads leave."""
        return layers(self.graph)

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


@dataclass(frozen=True)
class WeightsVariant:
    """Weights in 16, 8, 6 or 4 bits, activations in float32.

    Attributes:
        graph: Graph by `assemble`, in fp32.
        bits: Bits of a weight.
        matrices: The matrices in 6 or 4 bits, by their node's name.
        images: Number of photos that they were rounded with.
    """

    graph: onnx.ModelProto
    bits: WeightBits
    matrices: Matrices = field(default_factory=dict)
    images: int = 0

    @property
    def spared(self) -> Spared:
        """8 bits for what fewer are too few for: a fourth of float's size, at next to no error."""
        return "in_int8" if self.bits in BLOCK_SIZES else "in_float"

    @property
    def layers(self) -> list[list[str]]:
        """The layers whose weights are in fewer bits, each by itself."""
        return [[name] for name in with_weights(self.graph, self.bits)]

    @property
    def settings(self) -> WeightSettings:
        """Bits, size of a block, and photos."""
        return WeightSettings(
            weight_bits=self.bits, block_size=BLOCK_SIZES.get(self.bits, 0), calibration_images=self.images
        )

    def make(self, spared: Collection[str] = ()) -> onnx.ModelProto:
        """Convert the graph; the nodes of these names stay as `spared` says."""
        with quiet():
            return to_weights(self.graph, self.bits, spared=spared, matrices=self.matrices)


class Variant(Protocol):
    """A graph in fewer bits, with as many nodes spared as are named."""

    @property
    def spared(self) -> Spared:
        """What is left of the nodes that are spared."""
        ...

    @property
    def layers(self) -> list[list[str]]:
        """The names of the nodes that may be spared, in the graph's order, by layer."""
        ...

    @property
    def settings(self) -> Settings | None:
        """What was chosen to make it; None where there is nothing to choose."""
        ...

    def make(self, spared: Collection[str] = (), /) -> onnx.ModelProto:
        """Convert the graph but for the nodes of these names."""
        ...


@contextmanager
def open_variant(name: VariantName, graph: onnx.ModelProto, calibrating: NDArray[np.uint8]) -> Iterator[Variant]:
    """Prepare a variant, which may keep files while it is open.

    Args:
        name: Name of the variant.
        graph: Graph by `assemble`, in fp32.
        calibrating: uint8 `[N, height, width, 3]`, for int8, and weights in 6 or 4 bits.
    """
    if name == "fp16":
        yield Fp16Variant(graph)
        return
    if name != "int8":
        yield fit_weights(graph, _WEIGHT_BITS[name], calibrating)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield fit_int8(graph, calibrating, Path(folder))


def fit_weights(graph: onnx.ModelProto, bits: WeightBits, calibrating: NDArray[np.uint8]) -> WeightsVariant:
    """Round the matrices once, however many of them are spared afterwards.

    Args:
        graph: Graph by `assemble`, in fp32.
        bits: Bits of a weight.
        calibrating: uint8 `[N, height, width, 3]`, for 6 or 4 bits; N = 0 to round to the nearest.
    """
    if bits not in BLOCK_SIZES:
        return WeightsVariant(graph, bits)
    with quiet():
        return WeightsVariant(graph, bits, round_matrices(graph, bits, calibrating), len(calibrating))


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

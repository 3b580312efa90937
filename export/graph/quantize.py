"""Variants of a graph in fewer bits, by onnxruntime's own tools; what `assemble` added stays as it is."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
from onnxruntime.quantization.calibrate import create_calibrator, save_tensors_data

from aiface_runtime.manifest import IMAGE

from .assemble import AFTER, BEFORE
from .evidence import PREFIX
from .heads import head_nodes

Method: TypeAlias = Literal["minmax", "entropy", "percentile"]
METHODS: tuple[Method, ...] = get_args(Method)
_LIBRARY_NAMES = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_BATCH_SIZE = 8  # photos; all their activations are held for a histogram


def layers(graph: onnx.ModelProto) -> list[list[str]]:
    """Return the names of the nodes that may be put into fewer bits, in the graph's order, by layer.

    A layer is a node with weights and what follows up to the next.
    """
    names: list[list[str]] = []
    excluded = always_float(graph)
    for node in graph.graph.node:
        if node.name in excluded:
            continue
        if node.op_type in WITH_WEIGHTS or not names:
            names.append([])
        names[-1].append(node.name)
    return names


def always_float(graph: onnx.ModelProto) -> set[str]:
    """Return the names of the nodes that were added, and of the heads'."""
    added = {node.name for node in graph.graph.node if node.name.startswith((BEFORE, AFTER, PREFIX))}
    return added | set(head_nodes(graph))


def write_ranges(graph: onnx.ModelProto, pixels: NDArray[np.uint8], method: Method, file: Path) -> None:
    """Measure the range of every activation.

    Args:
        graph: Graph by `assemble`.
        pixels: uint8 `[N, height, width, 3]`, the photos to calibrate on.
        method: Rule that turns activations into ranges; the rules differ in how outliers count.
        file: File of the ranges to write, for `to_int8`.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "float.onnx"
        onnx.save(graph, model)
        calibrator = create_calibrator(
            model,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=_LIBRARY_NAMES[method],
            extra_options={"symmetric": False},  # percentile's default would waste a bit on what is never negative
        )
        for start in range(0, len(pixels), _BATCH_SIZE):
            calibrator.collect_data(_Reader(pixels[start : start + _BATCH_SIZE]))
        save_tensors_data(calibrator.compute_data(), file)


class _Reader(CalibrationDataReader):  # type: ignore[misc] # onnxruntime is not typed
    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._photos: Iterator[NDArray[np.uint8]] = iter(pixels)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        photo = next(self._photos, None)
        return None if photo is None else {IMAGE: photo[None]}


def to_int8(
    graph: onnx.ModelProto, ranges: Path, method: Method, *, weight_bits: int = 8, in_float: Collection[str] = ()
) -> onnx.ModelProto:
    """Quantise statically, with asymmetric uint8 activations and int8 weights scaled channel by channel.

    Args:
        graph: Graph by `assemble`.
        ranges: File that `write_ranges` wrote by the same method.
        method: The method of `write_ranges`.
        weight_bits: 8, or 7 for processors that add two products in 16 bits, where 8 overflow (AVX2 without VNNI).
        in_float: Names of nodes to leave as they are, beside those of `assemble` and the heads.

    Returns:
        The graph between QuantizeLinear and DequantizeLinear nodes.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "int8.onnx"
        quantize_static(
            graph,
            file,
            calibration_cache_path=ranges,
            calibrate_method=_LIBRARY_NAMES[method],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=weight_bits == 7,
            nodes_to_exclude=sorted(always_float(graph) | set(in_float)),
        )
        return without_shapes(onnx.load(file))


def to_fp16(graph: onnx.ModelProto, *, in_float: Collection[str] = ()) -> onnx.ModelProto:
    """Put weights and activations into float16; the input stays uint8, probabilities and evidence float32.

    Args:
        graph: Graph by `assemble`.
        in_float: Names of nodes to leave as they are, beside those of `assemble` and the heads.
    """
    from onnxruntime.transformers.onnx_model import OnnxModel  # puts its own folder on the path

    model = OnnxModel(copy.deepcopy(graph))
    # Also removes the casts to float16 and back that the conversion puts between two nodes left in float32.
    model.convert_float_to_float16(
        use_symbolic_shape_infer=False, keep_io_types=True, node_block_list=sorted(always_float(graph) | set(in_float))
    )
    model.topological_sort()
    return without_shapes(model.model)


def without_shapes(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the shapes noted inside a graph, in place."""
    del graph.graph.value_info[:]  # in part those of the graph before
    return graph

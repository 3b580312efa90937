"""Rounding of matrices to few bits, so that their products with real activations change least."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from scipy.linalg import cholesky, solve_triangular

from aiface_runtime.cpu_limits import usable_cores
from aiface_runtime.manifest import IMAGE

from .session import open_session

Moments: TypeAlias = Mapping[
    str, NDArray[np.float32]
]  # by tensor, [K, K]: the mean of x xᵀ over its rows x of K values
_BATCH = 4  # photos; the inputs of all products are held at once
_DAMPING = 0.01  # of the mean square of an input, as in the paper: inputs that the photos never use stay bounded


@dataclass(frozen=True)
class Rounded:
    """A matrix `[K, N]` in whole numbers times scales.

    Attributes:
        values: int8 `[K, N]`, from -2^(bits - 1) to 2^(bits - 1) - 1.
        scales: float16 `[ceil(K / block), N]`, of either sign.
        bits: Bits of a value, 2 to 8.
        block: Neighbouring values of a column that share a scale.
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float16]
    bits: int
    block: int

    def dequantised(self) -> NDArray[np.float32]:
        """Give the matrix that is meant, float32 `[K, N]`."""
        scales = np.repeat(self.scales.astype(np.float32), self.block, axis=0)[: len(self.values)]
        return self.values * scales


def input_moments(graph: onnx.ModelProto, names: Collection[str], pixels: NDArray[np.uint8]) -> Moments:
    """Measure the first inputs of nodes on photos.

    Args:
        graph: Graph by `assemble`.
        names: Names of the nodes.
        pixels: uint8 `[N, height, width, 3]`.
    """
    inputs = list(dict.fromkeys(node.input[0] for node in graph.graph.node if node.name in names))
    model = copy.deepcopy(graph)
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in inputs)
    session = open_session(model, usable_cores())
    moments: dict[str, NDArray[np.float32]] = {}
    for start in range(0, len(pixels), _BATCH):
        for name, values in zip(inputs, session.run(inputs, {IMAGE: pixels[start : start + _BATCH]}), strict=True):
            rows = values.reshape(-1, values.shape[-1])
            moments[name] = moments.get(name, 0) + rows.T @ rows / len(pixels)
    return moments


def rounded(weights: NDArray[np.float32], bits: int, block: int, moment: NDArray[np.float32] | None = None) -> Rounded:
    """Round row by row, each row's error made good in the rows below it as far as inputs are correlated.

    GPTQ: Frantar et al. 2022, arXiv 2210.17323, algorithm 1.

    Args:
        weights: float32 `[K, N]`.
        bits: Bits of a value, 2 to 8.
        block: Neighbouring values of a column that share a scale.
        moment: The inputs' moment `[K, K]`; None to round each value to the nearest.
    """
    left, limit = weights.copy(), 2 ** (bits - 1)
    values = np.empty(weights.shape, np.int8)
    scales = np.empty((-(-len(left) // block), left.shape[1]), np.float16)
    spread = np.eye(len(left), dtype=np.float32) if moment is None else _spread(moment)
    for index, start in enumerate(range(0, len(left), block)):
        stop = min(start + block, len(left))
        scales[index] = _scales(left[start:stop], limit)
        scale = scales[index].astype(np.float32)
        errors = np.empty_like(left[start:stop])
        for row in range(start, stop):
            values[row] = np.clip(np.rint(left[row] / scale), -limit, limit - 1)
            errors[row - start] = (left[row] - values[row] * scale) / spread[row, row]
            left[row + 1 : stop] -= np.outer(spread[row, row + 1 : stop], errors[row - start])
        left[stop:] -= spread[start:stop, stop:].T @ errors
    return Rounded(values, scales, bits, block)


def _scales(rows: NDArray[np.float32], limit: int) -> NDArray[np.float16]:
    """Give each column the scale by which its value furthest from 0 is `-limit`: the grid goes one further below 0."""
    furthest = np.take_along_axis(rows, np.abs(rows).argmax(axis=0)[None], axis=0)[0]
    scales: NDArray[np.float16] = (furthest / -limit).astype(np.float16)
    scales[scales == 0] = 1
    return scales


def _spread(moment: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the upper triangular U of H⁻¹ = Uᵀ U, by which a row's error goes into the rows below it."""
    damped = moment.astype(np.float64)
    damped[np.diag_indices_from(damped)] += _DAMPING * (np.trace(damped) / len(damped) or 1.0)
    factor = cholesky(damped[::-1, ::-1], lower=True)[::-1, ::-1]  # upper triangular, H = factor factorᵀ
    inverse: NDArray[np.float64] = solve_triangular(factor, np.eye(len(factor)))
    return inverse.astype(np.float32)

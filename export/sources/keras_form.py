"""What the three forms of a Keras network have in common, whichever framework opens them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..errors import SourceError
from .keras_input import Expected

OPSET = 18
INSTALL = 'pip install "aiface[export-keras]"'


@dataclass(frozen=True, kw_only=True)
class Network:
    """What the three forms have in common.

    Attributes:
        name: The network's own name.
        framework: `keras`, or `tensorflow` for a SavedModel, which keeps a graph and no layers.
        shape: Height, width and channels of the input; None where it takes any.
        expected: Range and order of its input, as far as its own operations before the first weights tell.
        is_reference_resnet: Whether it is the reference ResNet, whose input is known.
        num_outputs: Number of answers to a photo.
        final_activation: Name of the last function: `sigmoid`, `softmax` or another.
        reference: Framework that `answers` computes with, and its version, for the record of the proof.
        answers: Function from float32 `[N, height, width, 3]` to float32 `[N, num_outputs]`.
        exporters: Exporters by name, as in `Source`.
    """

    name: str
    framework: str
    shape: tuple[int | None, ...]
    expected: Expected
    is_reference_resnet: bool
    num_outputs: int | None
    final_activation: str
    reference: str
    answers: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    exporters: Mapping[str, Callable[[], onnx.ModelProto]]


def is_rgb(shape: tuple[int | None, ...]) -> bool:
    """Tell whether it is a fixed height x width x 3."""
    return len(shape) == 3 and None not in shape and shape[2] == 3


def only(tensors: Any, kind: str, path: Path) -> Any:
    """Return the one input or output.

    Raises:
        SourceError: There are several, or none that is fixed.
    """
    if not isinstance(tensors, list) or len(tensors) != 1:
        count = len(tensors) if tensors else "no fixed"
        raise SourceError(f"{path}: has {count} {kind}s; an image classifier with one is exported")
    return tensors[0]


def num_outputs(shape: Sequence[int | None], path: Path) -> int | None:
    """Return the number of answers to a photo.

    Raises:
        SourceError: They do not lie in one row.
    """
    if len(shape) != 2:
        shown = " x ".join("any" if side is None else str(side) for side in shape[1:]) or "a single number"
        raise SourceError(f"{path}: its output is {shown}, not a row of answers; end it in keras.layers.Flatten()")
    return shape[1]

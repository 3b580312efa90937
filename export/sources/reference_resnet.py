"""Recognises the reference ResNet, the one Keras network whose input is known although its file does not say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

_STAGES = (1, 2, 4, 8)  # widths, times the first convolution's; two blocks each
_KERNEL_RANKS = (2, 4)


def is_reference_resnet(shapes: Iterable[Sequence[int]]) -> bool:
    """Tell it by the shapes of its kernels.

    Args:
        shapes: Shapes of all weights; biases and normalisations are passed over.
    """
    kernels = Counter(tuple(shape) for shape in shapes if len(shape) in _KERNEL_RANKS)
    widths = [shape[3] for shape in kernels if shape[:3] == (7, 7, 3)]
    return len(widths) == 1 and kernels == _kernels(widths[0])


def _kernels(width: int) -> Counter[tuple[int, ...]]:
    kernels = [(7, 7, 3, width), (8 * width, 4 * width), (4 * width, 1)]
    before = width
    for factor in _STAGES:
        after = factor * width
        kernels += [(3, 3, before, after)] + 3 * [(3, 3, after, after)]
        kernels += [(1, 1, before, after)] if before != after else []
        before = after
    return Counter(kernels)

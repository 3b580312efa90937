"""What a run of a model gives, and the checks without which none of it becomes an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .manifest import EVIDENCE, FACES, PROBABILITIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .self_test import Answer, SelfTest

_SUM_TOLERANCE = 1e-3  # of a photo's probabilities, whose rounding to 16 bits moves the sum by up to 5e-4
_MAP_FACTOR = 2.0  # tolerances that one cell may be off: the mean over a map, which the answer is, is closer
_ROUNDING = 1e-6  # a softmax in float32 may give the next number above 1


class Outputs(NamedTuple):
    """What a run gives for N photos; the fields have the names of the graph's outputs.

    Attributes:
        probabilities: float32 `[N, C]` in the order of the manifest's labels.
        faces: float32 `[N, h, w]`, how likely a face lies in each cell, 0 to 1; None where the graph does not say.
    """

    probabilities: NDArray[np.float32]
    faces: NDArray[np.float32] | None = None

    def by_photo(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
        """Return the probabilities `[C]` and the face map `[h, w]` of each photo."""
        faces = [None] * len(self.probabilities) if self.faces is None else self.faces
        return list(zip(self.probabilities, faces, strict=True))


def checked(
    tensors: Mapping[str, Any], count: int, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    """Refuse tensors that cannot be answers for `count` photos.

    Args:
        tensors: Outputs of a run, by name.
        count: Number of photos that went in.
        shapes: Shape of each output for one photo.

    Returns:
        The tensors; what rounding left outside of 0 to 1, by at most one millionth, is put inside.

    Raises:
        ValueError: Another number of rows or another shape, NaN or infinity, a probability outside of 0 to 1, or
            probabilities of a photo that do not add up to 1.
    """
    return {name: _checked(name, values, (count, *shapes[name])) for name, values in tensors.items()}


def _checked(name: str, values: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if not isinstance(values, np.ndarray) or values.dtype != np.float32 or values.shape != shape:
        raise ValueError(f"{name} are not float32 {list(shape)} but {_kind(values)}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} hold NaN or infinity")
    return values if name == EVIDENCE else _shares(name, values)


def _shares(name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = float(values.min()), float(values.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise ValueError(f"{name} reach from {low:g} to {high:g}, not 0 to 1")
    if name == PROBABILITIES and np.abs(values.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
        raise ValueError(f"{name} of a photo do not add up to 1")
    return values if low >= 0 and high <= 1 else values.clip(0, 1)


def _kind(values: Any) -> str:
    return f"{values.dtype} {list(values.shape)}" if isinstance(values, np.ndarray) else type(values).__name__


def check_self_test(
    test: SelfTest, photos: NDArray[np.uint8], run: Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]]
) -> None:
    """Run a self-test.

    Args:
        test: Inputs and answers.
        photos: The inputs at the graph's size.
        run: Computes the outputs of a batch, by name, each `[N, …]`.

    Raises:
        ValueError: The answers are not those that are stored, or depend on the batch.
    """
    order = [1, 0, *range(2, len(photos))]  # neither the stored one, by rising P(AI), nor that backwards
    alone = range(1 if test.answers else len(photos))  # a start costs the others' time; rows are held to what is stored
    single = {index: _flat(run(photos[index : index + 1]), 0) for index in alone}
    outputs = run(photos[order])
    together = {index: _flat(outputs, row) for row, index in enumerate(order)}
    for index, answer in enumerate(test.answers or ()):
        _compare(single.get(index, answer), answer, test.tolerance, "are not those stored in the file")
        _compare(together[index], answer, test.tolerance, "in a batch are not those stored in the file")
    for index, answer in single.items():
        _compare(together[index], answer, test.tolerance, "change with the other photos of a batch")


def _flat(outputs: Mapping[str, NDArray[np.float32]], row: int) -> Answer:
    return {name: tuple(values[row].ravel().tolist()) for name, values in outputs.items()}


def _compare(actual: Answer, expected: Answer, tolerance: float, problem: str) -> None:
    for name, values in expected.items():
        pairs = zip(actual[name], values, strict=True)
        difference = max(abs(own - stored) for own, stored in pairs) / _unit(name, values)
        if not difference <= tolerance:
            raise ValueError(
                f"its {name} {problem}: {difference:.2g} off, at most {tolerance:g} is the processor's rounding"
            )


def _unit(name: str, values: Sequence[float]) -> float:
    """Return what a difference of an output is measured in: of evidence the largest contribution, at least 1 logit."""
    if name == EVIDENCE:
        return _MAP_FACTOR * max(1.0, *map(abs, values))
    return _MAP_FACTOR if name == FACES else 1.0

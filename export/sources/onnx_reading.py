"""What the answers of an ONNX graph mean: decided from its last nodes, from its configuration, or asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from ..errors import SourceError
from ..options import Head
from .onnx_end import End

_TOLERANCE = 1e-3  # on the sum of probabilities, and below 0 and above 1
_ROUNDED = 0.02  # the same of answers in 8 bits, whose numbers are 1/256 apart


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file's answers become probabilities.

    Attributes:
        head: Kind of the answers.
        num_outputs: Number of answers to a photo: one, which is the second label's, or one for each label.
        own: Index of the AI label of two labels that each have a probability of their own, by a sigmoid; the other's
            is the rest to 1. None where the answers are shares of 1.
        tolerance: Largest gap that rounding may leave between a sum of shares and 1.
    """

    head: Head
    num_outputs: int
    own: int | None = None
    tolerance: float = _TOLERANCE

    def probabilities(self, answers: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        """Give probabilities, float32 `[N, labels]`, for answers `[N, C]`.

        Raises:
            SourceError: They are no probabilities although they were to be; `name` is the file's.
        """
        values = answers.astype(np.float64)
        if self.head == "probabilities":
            check_range(values, self.tolerance, name)
        if self.head == "probabilities" and self.num_outputs > 1 and self.own is None:
            check_sums(values, self.tolerance, name)
        if self.num_outputs > 1 and self.own is None:
            shares = values / values.sum(axis=1, keepdims=True) if self.head == "probabilities" else softmax(values, 1)
            return np.asarray(shares, dtype=np.float32)
        column = values[:, self.own or 0]
        chosen = expit(column) if self.head == "logits" else column
        pair = [1 - chosen, chosen] if self.own != 0 else [chosen, 1 - chosen]
        return np.stack(pair, axis=1).astype(np.float32)


def check_range(values: NDArray[np.float64], tolerance: float, name: str) -> None:
    """Refuse what is no probability, 0 to 1.

    Raises:
        SourceError: With `name`, the file's.
    """
    low, high = float(values.min()), float(values.max())
    if not (low >= -tolerance and high <= 1 + tolerance):
        raise SourceError(
            f"{name}: its answers reach from {low:.3g} to {high:.3g}, which are no probabilities; say --head logits if "
            "they are that, and of percent give a file without the node that scales them"
        )


def check_sums(values: NDArray[np.float64], tolerance: float, name: str) -> None:
    """Refuse answers `[N, C]` that are no shares of 1.

    Raises:
        SourceError: With `name`, the file's.
    """
    sums = values.sum(axis=1)
    if not np.allclose(sums, 1, atol=tolerance):
        raise SourceError(
            f"{name}: its answers to a photo add up to {sums.min():.3g} to {sums.max():.3g}, not to 1 as those of a "
            "softmax over the labels; give a file that ends in logits"
        )


def read_answers(
    answers: NDArray[np.float32],
    end: End | None,
    said: Head | None,
    *,
    config: Mapping[str, Any],
    ai: Sequence[int],
    name: str,
    rounded: bool = False,
) -> Reading:
    """Decide what answers mean.

    Args:
        answers: float32 `[N, C]`, to pictures that differ.
        end: Kind of the answers by the graph's last nodes; None where they do not say.
        said: Kind of the answers by the user; None where nothing was said.
        config: The configuration that belongs to the file; `problem_type` and `function_to_apply` as transformers'.
        ai: Indices of the labels that mean AI-generated.
        name: Name of the file and of what ends it, for messages.
        rounded: Whether the answers are in 8 bits.

    Raises:
        SourceError: Nothing says, or what is said cannot be.
    """
    head = _head(end, said, config, name)
    num_outputs, tolerance = answers.shape[1], _ROUNDED if rounded else _TOLERANCE
    if head == "logits":
        _check_logits(answers, end, name)
        own = num_outputs > 1 and _function(config) == "sigmoid"
    else:
        check_range(answers.astype(np.float64), tolerance, name)
        unequal = not np.allclose(answers.sum(axis=1), 1, atol=tolerance)
        own = num_outputs > 1 and (end == "sigmoid" or (end is None and unequal))
    if num_outputs == 1 and end == "softmax":
        raise SourceError(f"{name}: a softmax of one answer is always 1; give a file that ends in the logit before it")
    if own and (num_outputs != 2 or len(ai) != 1):
        raise SourceError(
            f"{name}: gives each of its {num_outputs} labels a probability of its own; that can be exported for two "
            "labels, of which one means AI"
        )
    reading = Reading(head=head, num_outputs=num_outputs, own=ai[0] if own else None, tolerance=tolerance)
    reading.probabilities(answers, name)
    return reading


def _head(end: End | None, said: Head | None, config: Mapping[str, Any], name: str) -> Head:
    if end == "scaled":
        raise SourceError(f"{name}: changes probabilities after the softmax or sigmoid; give a file that ends in that")
    if end in ("softmax", "sigmoid"):
        if said == "logits":
            raise SourceError(f"{name}: ends in a {end}, which gives probabilities; leave out --head logits")
        return "probabilities"
    if said is not None:
        return said
    if end == "logits" and _function(config) in ("softmax", "sigmoid"):
        return "logits"
    raise SourceError(
        f"{name}: does not say whether it gives logits or probabilities; add --head logits if a softmax or sigmoid is "
        "still to come, else --head probabilities"
    )


def _function(config: Mapping[str, Any]) -> str:
    """Return what turns logits into probabilities, as transformers' pipeline chooses it."""
    chosen = config.get("function_to_apply")
    if chosen is not None:
        return str(chosen)
    return "sigmoid" if config.get("problem_type") == "multi_label_classification" else "softmax"


def _check_logits(answers: NDArray[np.float32], end: End | None, name: str) -> None:
    """Refuse shares, of 1 or of 100, that are said to be logits."""
    sums = answers.sum(axis=1, dtype=np.float64)
    is_shared = answers.shape[1] > 1 and (answers >= 0).all() and np.ptp(sums) <= _TOLERANCE * sums.mean()
    if end is None and is_shared:
        raise SourceError(
            f"{name}: its answers to a photo are never negative and always add up to {sums.mean():.3g}, as "
            "probabilities do; say --head probabilities (of percent, give a file without the node that scales them)"
        )

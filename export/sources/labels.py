"""Which of a checkpoint's labels mean AI-generated: read from their names, never from their order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import SourceError

_AI = frozenset(
    ("ai", "aigenerated", "aigen", "artificial", "fake", "deepfake", "generated", "synthetic", "gan", "diffusion")
)
_LISTED = 8  # labels that a message names
_REAL = frozenset(["real", "human", "hum", "notai", "authentic", "photo", "genuine", "natural", "nature"])


def check_id2label(id2label: object, name: str) -> None:
    """Refuse what transformers does not understand as `id2label`; None stands for its default names.

    Raises:
        SourceError: It is no object from numbers to names, or a name is there twice.
    """
    if id2label is None:
        return
    example = 'write {"0": "real", "1": "ai"}, in output order'
    if not isinstance(id2label, Mapping):
        raise SourceError(f"{name}: its id2label is a {type(id2label).__name__}; {example}")
    if wrong := next((key for key in id2label if not re.fullmatch(r"\s*\d+\s*", str(key), re.ASCII)), None):
        raise SourceError(f"{name}: its id2label numbers nothing by {wrong!r}; {example}")
    if any(not isinstance(label, str | int | float) for label in id2label.values()):
        raise SourceError(f"{name}: its id2label has something else than names; {example}")
    counts = Counter(str(label) for label in id2label.values())
    if twice := next((label for label, count in counts.items() if count > 1), None):
        raise SourceError(f"{name}: its id2label has {twice!r} twice; give each output a name of its own")


def labels_of(config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a configuration's labels in output order.

    Args:
        config: Configuration with `id2label`.
        name: Name of its file or folder, for messages.

    Raises:
        SourceError: The labels are not numbered from 0 on without a gap, one is there twice, or there is none.
    """
    check_id2label(config.get("id2label"), name)
    id2label = {int(index): str(label) for index, label in (config.get("id2label") or {}).items()}
    if not id2label or sorted(id2label) != list(range(len(id2label))):
        raise SourceError(f"{name}: its config.json needs id2label with all labels, numbered from 0")
    return tuple(id2label[index] for index in range(len(id2label)))


def ai_labels(labels: Sequence[str], chosen: Sequence[str] = ()) -> list[str]:
    """Return the labels that mean AI-generated, in output order.

    Args:
        labels: Labels in output order.
        chosen: Labels that the user names (`--ai-label`); empty to go by the labels' own names.

    Raises:
        SourceError: The names do not say, or `chosen` names something else.
    """
    accepted = _chosen(labels, chosen) if chosen else _recognised(labels)
    if not accepted or len(accepted) == len(labels):
        raise SourceError(f"of the labels {_listed(labels)} some must mean AI and some real; use --ai-label")
    return accepted


def _chosen(labels: Sequence[str], chosen: Sequence[str]) -> list[str]:
    if unknown := [label for label in chosen if label not in labels]:
        raise SourceError(f"--ai-label {unknown[0]!r}: the labels are {_listed(labels)}")
    return [label for label in labels if label in chosen]


def _recognised(labels: Sequence[str]) -> list[str]:
    meanings = {label: means_ai(label) for label in labels}
    if None in meanings.values():
        raise SourceError(
            f"the labels {_listed(labels)} do not say which of them mean AI-generated; name them with --ai-label"
        )
    return [label for label in labels if meanings[label]]


def means_ai(label: str) -> bool | None:
    """Tell whether a label's name says AI or real; None where it says neither."""
    plain = re.sub(r"[^a-z]", "", label.lower())
    return plain in _AI if plain in _AI | _REAL else None


def _listed(labels: Sequence[str]) -> str:
    """Name labels in a message, of many only the first."""
    more = f" and {len(labels) - _LISTED} more" if len(labels) > _LISTED else ""
    return ", ".join(labels[:_LISTED]) + more

"""Which of a checkpoint's labels mean AI-generated: read from their names, never from their order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import SourceError

_AI = frozenset(
    ("ai", "aigenerated", "aigen", "artificial", "fake", "deepfake", "generated", "synthetic", "gan", "diffusion")
)
_REAL = frozenset(["real", "human", "hum", "notai", "authentic", "photo", "genuine", "natural", "nature"])


def labels_of(config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a configuration's labels in output order.

    Args:
        config: Configuration with `id2label`.
        name: Name of its file or folder, for messages.

    Raises:
        SourceError: The labels are not numbered from 0 on without a gap, or there is only one.
    """
    id2label = {int(index): str(label) for index, label in (config.get("id2label") or {}).items()}
    if sorted(id2label) != list(range(len(id2label))) or len(id2label) < 2:
        raise SourceError(f"{name}: its config.json needs id2label with two labels or more, numbered from 0")
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
        raise SourceError(f"of the labels {', '.join(labels)} some must mean AI and some real; use --ai-label")
    return accepted


def _chosen(labels: Sequence[str], chosen: Sequence[str]) -> list[str]:
    if unknown := [label for label in chosen if label not in labels]:
        raise SourceError(f"--ai-label {unknown[0]!r}: the labels are {', '.join(labels)}")
    return [label for label in labels if label in chosen]


def _recognised(labels: Sequence[str]) -> list[str]:
    plain = {label: re.sub(r"[^a-z]", "", label.lower()) for label in labels}
    if any(name not in _AI | _REAL for name in plain.values()):
        raise SourceError(
            f"the labels {', '.join(labels)} do not say which of them mean AI-generated; name them with --ai-label"
        )
    return [label for label in labels if plain[label] in _AI]

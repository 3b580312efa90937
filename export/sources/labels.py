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


def labels_of(config: Mapping[str, Any], place: str) -> tuple[str, ...]:
    """A configuration's labels in output order.

    Raises:
        SourceError: They are not numbered from 0 on without a gap, or there is only one.
    """
    id2label = {int(index): str(label) for index, label in (config.get("id2label") or {}).items()}
    if sorted(id2label) != list(range(len(id2label))) or len(id2label) < 2:
        raise SourceError(f"{place}: its config.json needs id2label with two labels or more, numbered from 0")
    return tuple(id2label[index] for index in range(len(id2label)))


def ai_labels(labels: Sequence[str], chosen: Sequence[str] = ()) -> list[str]:
    """The labels that mean AI-generated, in output order.

    Args:
        labels: In output order.
        chosen: The user's own word on it (`--ai-label`), which is then not guessed.

    Raises:
        SourceError: The names do not say, or `chosen` names something else.
    """
    if chosen:
        if unknown := [label for label in chosen if label not in labels]:
            raise SourceError(f"--ai-label {unknown[0]!r}: the labels are {', '.join(labels)}")
        found = [label for label in labels if label in chosen]
    else:
        plain = {label: re.sub(r"[^a-z]", "", label.lower()) for label in labels}
        found = [label for label in labels if plain[label] in _AI]
        unclear = [label for label in labels if plain[label] not in _AI | _REAL]
        if unclear:
            raise SourceError(
                f"the labels {', '.join(labels)} do not say which of them mean AI-generated; name them with --ai-label"
            )
    if not found or len(found) == len(labels):
        raise SourceError(f"of the labels {', '.join(labels)} some must mean AI and some real; use --ai-label")
    return found

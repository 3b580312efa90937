"""Which reader opens what the user named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .source import Source


def open_source(place: str, ai_label: Sequence[str] = ()) -> Source:
    """Open a checkpoint.

    Args:
        place: A transformers checkpoint folder, or a hub id `org/name[@revision]`.
        ai_label: Labels that mean AI-generated, where their names do not say.

    Raises:
        SourceError: There is nothing there that can be exported.
    """
    from .from_transformers import read_transformers
    from .hub import fetch, is_hub_id

    if is_hub_id(place):
        folder, name = fetch(place)
        return read_transformers(folder, ai_label, name)
    return read_transformers(Path(place), ai_label)

"""CLIP's image tower from wherever a user has it."""

from __future__ import annotations

from .load import load_clip

__all__ = ["load_clip"]

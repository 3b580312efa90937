"""A CLIP image tower out of a transformers folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch
from transformers import CLIPVisionModel

from ..errors import SourceError
from ..source import first_line

_TYPES = ("clip", "clip_vision_model")


def read_folder(folder: Path, name: str) -> CLIPVisionModel:
    """Read the tower of a `CLIPModel` or `CLIPVisionModel`.

    Args:
        folder: Folder of `config.json` and weights.
        name: Name of the source, for messages.

    Returns:
        The tower in float32 and evaluation mode.

    Raises:
        SourceError: It is no such folder, or its weights do not fit its configuration.
    """
    kind = _model_type(folder, name)
    if kind not in _TYPES:
        raise SourceError(f"{name}: is {kind!r}, not CLIP; give openai/clip-vit-base-patch16 or a folder of it")
    arguments: dict[str, Any] = {"dtype": torch.float32, "output_loading_info": True, "weights_only": True}
    try:
        model, info = CLIPVisionModel.from_pretrained(folder, **arguments)
    except Exception as error:
        raise SourceError(f"{name}: its weights cannot be loaded ({first_line(error)})") from error
    if unfit := sorted([*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])]):
        raise SourceError(f"{name}: its weights do not fit its config ({len(unfit)} differ, {unfit[0]} first)")
    model.train(False)
    return cast("CLIPVisionModel", model)


def _model_type(folder: Path, name: str) -> str | None:
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{name}: its config.json cannot be read ({first_line(error)})") from error
    return values.get("model_type") if isinstance(values, dict) else None

"""timm's evaluation transforms, as a `timm_wrapper` checkpoint's config.json has them, put in the manifest's terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from aiface_runtime.steps import FILTERS, CenterCropToEven, Resize, ResizeShorter, Step

from ..errors import SourceError
from ..source import Preprocessing, first_line
from .image_processor import ImageProcessor
from .pixel_check import check_pixels


def is_timm(folder: Path) -> bool:
    """Tell whether a checkpoint folder is timm's own, which transformers opens through its wrapper."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # the reader of configurations says what is wrong with it
    return isinstance(config, dict) and "pretrained_cfg" in config


def read_timm_processor(folder: Path) -> ImageProcessor:
    """Open transformers' wrapper of timm's transforms.

    Raises:
        SourceError: timm or torchvision is not installed, or timm does not take the configuration.
    """
    try:
        import timm  # noqa: F401
        from transformers import TimmWrapperImageProcessor

        return TimmWrapperImageProcessor.from_pretrained(folder)
    except ImportError as error:
        raise SourceError(
            f"{folder}: is a timm checkpoint, and {first_line(error)}; pip install --no-deps timm torchvision"
        ) from error
    except Exception as error:
        raise SourceError(f"{folder}: its timm transforms cannot be made ({first_line(error)})") from error


def timm_preprocessing(processor: ImageProcessor, name: str) -> Preprocessing:
    """Return what the transforms do to a photo.

    Args:
        processor: Processor by `read_timm_processor`.
        name: Name of its file or folder, for messages.

    Raises:
        SourceError: The transforms do something that the manifest cannot describe.
    """
    *geometry, to_tensor, normalize = processor.val_transforms.transforms
    if [type(last).__name__ for last in (to_tensor, normalize)] not in (
        ["ToTensor", "Normalize"],
        ["MaybeToTensor", "Normalize"],
    ):
        raise SourceError(f"{name}: its transforms do not end in ToTensor and Normalize: {processor.val_transforms}")
    steps = tuple(_step(transform, name) for transform in geometry)
    if not steps or not isinstance(steps[-1], CenterCropToEven):
        raise SourceError(f"{name}: its transforms do not bring photos to one size")
    first, last = steps[0], steps[-1]
    if isinstance(first, ResizeShorter) and first.size < max(last.height, last.width):
        raise SourceError(
            f"{name}: its transforms crop {last.width} x {last.height} pixels from photos that they resized to "
            f"{first.size}, and fill the rest by the photo's shape, which the file cannot say; its crop_pct is above 1"
        )
    mean, std = (np.asarray(values, dtype=np.float64) for values in (normalize.mean, normalize.std))
    known = Preprocessing(
        steps=steps,
        height=steps[-1].height,
        width=steps[-1].width,
        scale=(1 / (255 * std)).astype(np.float32),
        offset=(-mean / std).astype(np.float32),
    )
    check_pixels(known, processor, name)
    return known


def _step(transform: Any, name: str) -> Step:
    kind = type(transform).__name__
    if kind == "CenterCrop":
        return CenterCropToEven(*(int(side) for side in transform.size))
    filter_ = next((known for known in FILTERS if kind == "Resize" and known == transform.interpolation.value), None)
    if filter_ is None:
        raise SourceError(
            f"{name}: its timm transform {kind} is not known here; those of crop_mode center and squash and a square "
            "input_size are"
        )
    size = transform.size
    if isinstance(size, int) or len(size) == 1:
        return ResizeShorter(int(size if isinstance(size, int) else size[0]), filter_)
    return Resize(int(size[0]), int(size[1]), filter_)

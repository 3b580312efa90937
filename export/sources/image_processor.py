"""A transformers image processor: read from its file, and put in the manifest's terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import transformers
from numpy.typing import NDArray
from PIL import Image

from aiface_runtime.manifest import CenterCrop, Filter, Resize, ResizeShorter, Step

from ..checkpoint_record import Channels
from ..errors import SourceError
from ..source import Preprocessing, first_line

ImageProcessor: TypeAlias = Any  # transformers' processors have no common typed attributes

_FILTERS: dict[int, Filter] = {
    int(Image.Resampling[name.upper()]): name
    for name in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
}
_CONVNEXT_SQUASHES_FROM = 384  # px; smaller sizes are reached by scaling to size / crop_pct and cropping


def read_processor(file: Path) -> ImageProcessor:
    """Read the processor that a `preprocessor_config.json` names, in its Pillow-based form.

    Old files name feature extractors (`ViTFeatureExtractor`), new ones the torchvision-based forms; both stand for the
    image processor of that family.

    Raises:
        SourceError: Not JSON, or no image processor that transformers knows.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        type_name = str(config.get("image_processor_type") or config.get("feature_extractor_type"))
    except (OSError, ValueError, AttributeError) as error:
        raise SourceError(f"{file}: cannot be read as a processor's configuration ({first_line(error)})") from error
    plain = type_name.removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")
    processor_class = getattr(transformers, plain, None) if plain.endswith("ImageProcessor") else None
    if processor_class is None:
        raise SourceError(f"{file}: names {type_name!r}, which is no image processor of transformers")
    try:
        return processor_class.from_dict(config)
    except Exception as error:
        raise SourceError(f"{file}: its {plain} cannot be made ({first_line(error)})") from error


def preprocessing(processor: ImageProcessor, name: str) -> Preprocessing:
    """Return what a processor does to a photo, in the manifest's terms.

    Args:
        processor: Processor by `read_processor`.
        name: Name of its file or folder, for messages.

    Raises:
        SourceError: The processor does something that the manifest cannot describe.
    """
    steps, (height, width) = _steps(processor, name)
    channels, scale, offset = _normalisation(processor, height, width, name)
    return Preprocessing(steps=steps, height=height, width=width, scale=scale, offset=offset, channels=channels)


def _steps(processor: ImageProcessor, name: str) -> tuple[tuple[Step, ...], tuple[int, int]]:
    """Return what the processor does to the photo's geometry, and the height and width that come out."""
    steps: tuple[Step, ...] = ()
    if getattr(processor, "do_resize", False):
        if hasattr(processor, "crop_pct"):
            return _convnext_steps(processor)
        steps = (_resize(processor, name),)
    if getattr(processor, "do_center_crop", False):
        steps += (CenterCrop(processor.crop_size["height"], processor.crop_size["width"]),)
    if not steps or isinstance(steps[-1], ResizeShorter):
        raise SourceError(f"{name}: its processor does not bring photos to one size")
    return steps, (steps[-1].height, steps[-1].width)


def _resize(processor: ImageProcessor, name: str) -> Resize | ResizeShorter:
    if not hasattr(processor, "size"):  # SigLIP 2's NaFlex: as many patches as the photo's shape allows
        raise SourceError(
            f"{name}: its {type(processor).__name__} gives each photo a size of its own; only networks with one "
            "input size can be exported (of SigLIP 2 those without NaFlex)"
        )
    size, filter_ = dict(processor.size), _FILTERS[int(processor.resample)]
    if set(size) == {"height", "width"}:
        return Resize(size["height"], size["width"], filter_)
    if set(size) == {"shortest_edge"}:
        return ResizeShorter(size["shortest_edge"], filter_)
    raise SourceError(f"{name}: its processor resizes by {size}, which is not known here")


def _convnext_steps(processor: ImageProcessor) -> tuple[tuple[Step, ...], tuple[int, int]]:
    edge, filter_ = int(processor.size["shortest_edge"]), _FILTERS[int(processor.resample)]
    if edge >= _CONVNEXT_SQUASHES_FROM:
        return (Resize(edge, edge, filter_),), (edge, edge)
    return (ResizeShorter(int(edge / processor.crop_pct), filter_), CenterCrop(edge, edge)), (edge, edge)


def level_table(processor: ImageProcessor) -> NDArray[np.float32]:
    """Return what a processor makes of each level, channel by channel in the network's order: float32 `[3, 256]`."""
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    return np.asarray(_fed(processor, levels), dtype=np.float32).reshape(3, 256)


def _fed(processor: ImageProcessor, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return what a processor makes of a picture's levels, without resizing and cropping: `[3, H, W]`."""
    switched_off = {name: False for name in ("do_resize", "do_center_crop") if hasattr(processor, name)}
    fed: NDArray[np.float64] = processor(Image.fromarray(picture), return_tensors="np", **switched_off)["pixel_values"][
        0
    ]
    return fed


def _normalisation(
    processor: ImageProcessor, height: int, width: int, name: str
) -> tuple[Channels, NDArray[np.float32], NDArray[np.float32]]:
    """Return the order of channels, scale and offset, by feeding a black picture and one of each primary colour.

    Families differ in what they do to levels (some normalise twice, some swap channels); all of it is linear.
    """
    probes = np.zeros((4, height, width, 3), dtype=np.uint8)
    for channel in range(3):
        probes[channel + 1, ..., channel] = 255
    fed = np.stack([_fed(processor, probe) for probe in probes]).astype(np.float64)
    levels = fed[:, :, height // 2, width // 2]
    offset, response = levels[0], (levels[1:] - levels[0]).T / 255  # response: of each of the network's channels
    orders: dict[Channels, NDArray[np.float64]] = {"rgb": np.eye(3), "bgr": np.eye(3)[::-1]}
    for channels, order in orders.items():
        if not (response * (1 - order)).any():
            return channels, response.sum(axis=1).astype(np.float32), offset.astype(np.float32)
    raise SourceError(f"{name}: its processor mixes the colour channels, which is not known here")

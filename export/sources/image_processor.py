"""A transformers image processor: read from its file, and told in the manifest's terms."""

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
    """The processor that a `preprocessor_config.json` names, in its Pillow-based form.

    Old files name feature extractors (`ViTFeatureExtractor`), new ones the torchvision-based forms; both stand for the
    image processor of that family.

    Raises:
        SourceError: Not JSON, or no image processor that transformers knows.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        name = str(config.get("image_processor_type") or config.get("feature_extractor_type"))
    except (OSError, ValueError, AttributeError) as error:
        raise SourceError(f"{file}: cannot be read as a processor's configuration ({first_line(error)})") from error
    plain = name.removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")
    kind = getattr(transformers, plain, None) if plain.endswith("ImageProcessor") else None
    if kind is None:
        raise SourceError(f"{file}: names {name!r}, which is no image processor of transformers")
    try:
        return kind.from_dict(config)
    except Exception as error:
        raise SourceError(f"{file}: its {plain} cannot be made ({first_line(error)})") from error


def preprocessing(processor: ImageProcessor, place: str) -> Preprocessing:
    """What a processor does to a photo, in the manifest's terms.

    Raises:
        SourceError: It does what the manifest cannot say.
    """
    steps, (height, width) = _steps(processor, place)
    channels, scale, offset = _normalisation(processor, height, width, place)
    return Preprocessing(steps=steps, height=height, width=width, scale=scale, offset=offset, channels=channels)


def _steps(processor: ImageProcessor, place: str) -> tuple[tuple[Step, ...], tuple[int, int]]:
    """What the processor does to the photo's geometry, and the size that comes out."""
    steps: list[Step] = []
    out: tuple[int, int] | None = None
    if getattr(processor, "do_resize", False):
        if not hasattr(processor, "size"):  # SigLIP 2's NaFlex: as many patches as the photo's shape allows
            raise SourceError(
                f"{place}: its {type(processor).__name__} gives each photo a size of its own; only networks with one "
                "input size can be exported (of SigLIP 2 those without NaFlex)"
            )
        size, filter_ = dict(processor.size), _FILTERS[int(processor.resample)]
        if hasattr(processor, "crop_pct"):
            return _convnext_steps(size["shortest_edge"], processor.crop_pct, filter_)
        if set(size) == {"height", "width"}:
            out = (size["height"], size["width"])
            steps.append(Resize(*out, filter_))
        elif set(size) == {"shortest_edge"}:
            steps.append(ResizeShorter(size["shortest_edge"], filter_))
        else:
            raise SourceError(f"{place}: its processor resizes by {size}, which is not known here")
    if getattr(processor, "do_center_crop", False):
        out = (processor.crop_size["height"], processor.crop_size["width"])
        steps.append(CenterCrop(*out))
    if out is None:
        raise SourceError(f"{place}: its processor does not bring photos to one size")
    return tuple(steps), out


def _convnext_steps(edge: int, crop_pct: float, filter_: Filter) -> tuple[tuple[Step, ...], tuple[int, int]]:
    if edge >= _CONVNEXT_SQUASHES_FROM:
        return (Resize(edge, edge, filter_),), (edge, edge)
    return (ResizeShorter(int(edge / crop_pct), filter_), CenterCrop(edge, edge)), (edge, edge)


def _normalisation(
    processor: ImageProcessor, height: int, width: int, place: str
) -> tuple[Channels, NDArray[np.float32], NDArray[np.float32]]:
    """Asked of the processor itself, with one black picture and one for each primary colour.

    Families differ in what they do to levels (some normalise twice, some swap channels); all of it is linear.
    """
    probes = np.zeros((4, height, width, 3), dtype=np.uint8)
    for channel in range(3):
        probes[channel + 1, ..., channel] = 255
    switched_off = {name: False for name in ("do_resize", "do_center_crop") if hasattr(processor, name)}
    seen = np.stack(
        [processor(Image.fromarray(probe), return_tensors="np", **switched_off)["pixel_values"][0] for probe in probes]
    ).astype(np.float64)
    levels = seen[:, :, height // 2, width // 2]
    offset, response = levels[0], (levels[1:] - levels[0]).T / 255  # response: of each of the network's channels
    orders: dict[Channels, NDArray[np.float64]] = {"rgb": np.eye(3), "bgr": np.eye(3)[::-1]}
    for channels, order in orders.items():
        if not (response * (1 - order)).any():
            return channels, response.sum(axis=1).astype(np.float32), offset.astype(np.float32)
    raise SourceError(f"{place}: its processor mixes the colour channels, which is not known here")

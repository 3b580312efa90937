"""A transformers image processor: read from its file, and put in the manifest's terms."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import transformers
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor

from aiface_runtime.steps import CenterCrop, Filter, Resize, ResizeShorter, Step

from ..checkpoint_record import Channels
from ..errors import SourceError
from ..source import Preprocessing, first_line
from .checkpoint_files import PROCESSORS, read_json
from .pixel_check import check_pixels, run_on_odd_shapes

ImageProcessor: TypeAlias = Any  # transformers' processors have no common typed attributes

_FILTERS: dict[int, Filter] = {
    int(Image.Resampling[name.upper()]): name
    for name in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
}
_OLD_NAME = "FeatureExtractor"
# Steps of the torchvision-based forms that change pixels, and that some Pillow-based ones do not know.
_FAST_STEPS = ("do_center_crop", "do_pad", "do_flip_channel_order", "do_grayscale")
_CONVNEXT_SQUASHES_FROM = 384  # px; smaller sizes are reached by scaling to size / crop_pct and cropping


def read_folder_processor(folder: Path) -> ImageProcessor:
    """Read the processor of a checkpoint folder as transformers' users do, in its Pillow-based form.

    Raises:
        SourceError: Its file is not JSON, or no image processor that transformers knows.
    """
    file = next(folder / name for name in PROCESSORS if (folder / name).is_file())
    config = _processor_config(file)
    if str(config.get("image_processor_type")).endswith(_OLD_NAME):  # transformers' Auto class leaves these out
        return read_processor(file)
    type_name = config.get("image_processor_type") or config.get("feature_extractor_type")
    if type_name:
        _class_named(type_name, file)
    auto: Any = AutoImageProcessor  # whose methods have no types
    try:
        processor = auto.from_pretrained(folder, use_fast=False, trust_remote_code=False)
    except Exception as error:
        raise SourceError(f"{file}: its image processor cannot be made ({first_line(error)})") from error
    _check_features(processor, config, file)
    return processor


def read_processor(file: Path) -> ImageProcessor:
    """Read the processor that a `preprocessor_config.json` names, in its Pillow-based form.

    Old files name feature extractors (`ViTFeatureExtractor`), new ones the torchvision-based forms; both stand for the
    image processor of that family.

    Raises:
        SourceError: Not JSON, or no image processor that transformers knows.
    """
    config = _processor_config(file)
    processor_class = _class_named(config.get("image_processor_type") or config.get("feature_extractor_type"), file)
    try:
        processor = processor_class.from_dict(config)
    except Exception as error:
        raise SourceError(f"{file}: its {processor_class.__name__} cannot be made ({first_line(error)})") from error
    _check_features(processor, config, file)
    return processor


def _processor_config(file: Path) -> dict[str, Any]:
    """Read a processor's file; `processor_config.json` has the image processor as a part."""
    config = read_json(file)
    config = config.get("image_processor", config)
    if not isinstance(config, dict):
        raise SourceError(f"{file}: its image_processor is {config!r}, not a processor's settings")
    if "video_processor_type" in config and "image_processor_type" not in config:
        raise SourceError(f"{file}: is of a video processor; save the image processor of the network beside it")
    return config


def _class_named(type_name: object, file: Path) -> Any:
    """Return the Pillow-based class that a name stands for: of transformers 5 with `Pil` behind it."""
    plain = str(type_name).removesuffix("Fast").removesuffix("Pil").replace(_OLD_NAME, "ImageProcessor")
    names = (f"{plain}Pil", plain) if plain.endswith("ImageProcessor") else ()
    found = next((known for name in names if (known := getattr(transformers, name, None))), None)
    if found is None:
        raise SourceError(f"{file}: names {type_name!r}, which is no image processor of transformers")
    return found


def _check_features(processor: ImageProcessor, config: Mapping[str, Any], file: Path) -> None:
    """Refuse steps that only the torchvision-based form of a processor takes, and the Pillow-based one leaves out."""
    known = inspect.signature(type(processor).preprocess).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return  # the forms of transformers 5 take the same steps
    for name in _FAST_STEPS:
        if config.get(name) and name not in known and not _crops_nothing(name, config):
            raise SourceError(
                f"{file}: {name} is a step of its torchvision-based form alone, and {type(processor).__name__} leaves "
                f'it out; write "{name}": false, or "CLIPImageProcessor" as its type, whichever the network was '
                "trained with"
            )


def _crops_nothing(name: str, config: Mapping[str, Any]) -> bool:
    size, crop = (config.get(key) for key in ("size", "crop_size"))
    sides = [{"height": value, "width": value} if isinstance(value, int) else value for value in (size, crop)]
    return name == "do_center_crop" and sides[0] == sides[1]


def preprocessing(processor: ImageProcessor, name: str) -> Preprocessing:
    """Return what a processor does to a photo, in the manifest's terms, and see that it does just that.

    Args:
        processor: Processor by `read_processor`.
        name: Name of its file or folder, for messages.

    Raises:
        SourceError: The processor cannot be run, or does something that the manifest cannot describe.
    """
    if getattr(processor, "do_resize", False) and not hasattr(processor, "size"):  # SigLIP 2's NaFlex: patches
        raise SourceError(
            f"{name}: its {type(processor).__name__} gives each photo a size of its own; only networks with one "
            "input size can be exported (of SigLIP 2 those without NaFlex)"
        )
    run_on_odd_shapes(processor, name)  # its own complaint comes first
    try:
        steps, (height, width) = _steps(processor, name)
        channels, scale, offset = _normalisation(processor, height, width, name)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{name}: its processor's settings are not known here ({first_line(error)})") from error
    known = Preprocessing(steps=steps, height=height, width=width, scale=scale, offset=offset, channels=channels)
    check_pixels(known, processor, name)
    return known


def _steps(processor: ImageProcessor, name: str) -> tuple[tuple[Step, ...], tuple[int, int]]:
    """Return what the processor does to the photo's geometry, and the height and width that come out."""
    steps: tuple[Step, ...] = ()
    if getattr(processor, "do_resize", False):
        if hasattr(processor, "crop_pct"):
            return _convnext_steps(processor, name)
        steps = (_resize(processor, name),)
    if getattr(processor, "do_center_crop", False) and _takes(processor, "do_center_crop"):
        steps += (CenterCrop(processor.crop_size["height"], processor.crop_size["width"]),)
    _check_crop(steps, name)
    if not steps or isinstance(steps[-1], ResizeShorter):
        raise SourceError(f"{name}: its processor does not bring photos to one size")
    return steps, (steps[-1].height, steps[-1].width)


def _takes(processor: ImageProcessor, step: str) -> bool:
    parameters = inspect.signature(type(processor).preprocess).parameters
    return step in parameters or any(known.kind is known.VAR_KEYWORD for known in parameters.values())


def _check_crop(steps: tuple[Step, ...], name: str) -> None:
    """Refuse to crop more than there is: what fills the rest hangs on whether a photo's sides are even."""
    first, crop = steps[0] if steps else None, steps[-1] if steps else None
    if not isinstance(first, Resize | ResizeShorter) or not isinstance(crop, CenterCrop):
        return
    sides = (first.size, first.size) if isinstance(first, ResizeShorter) else (first.height, first.width)
    if crop.height > sides[0] or crop.width > sides[1]:
        raise SourceError(
            f"{name}: its processor crops {crop.width} x {crop.height} pixels from photos that it resized to "
            f"{min(sides)}, and fills the rest by the photo's shape, which the file cannot say; correct its size or "
            "crop_size"
        )


def _resize(processor: ImageProcessor, name: str) -> Resize | ResizeShorter:
    size, filter_ = dict(processor.size), _filter(processor)
    if set(size) == {"height", "width"}:
        return Resize(size["height"], size["width"], filter_)
    if set(size) == {"shortest_edge"}:
        return ResizeShorter(size["shortest_edge"], filter_)
    raise SourceError(f"{name}: its processor resizes by {size}, which is not known here")


def _filter(processor: ImageProcessor) -> Filter:
    """Return the filter; where none is given transformers' `resize` takes bilinear."""
    return "bilinear" if processor.resample is None else _FILTERS[int(processor.resample)]


def _convnext_steps(processor: ImageProcessor, name: str) -> tuple[tuple[Step, ...], tuple[int, int]]:
    edge, filter_ = int(processor.size["shortest_edge"]), _filter(processor)
    if edge >= _CONVNEXT_SQUASHES_FROM:
        return (Resize(edge, edge, filter_),), (edge, edge)
    steps = ResizeShorter(int(edge / processor.crop_pct), filter_), CenterCrop(edge, edge)
    _check_crop(steps, name)
    return steps, (edge, edge)


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

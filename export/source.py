"""A transformers checkpoint folder: its network, its labels, and what its image processor does to a photo."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.manifest import CenterCrop, Filter, Resize, ResizeShorter, Step

from .errors import SourceError
from .labels import ai_labels

_FILTERS: dict[int, Filter] = {
    int(Image.Resampling[name.upper()]): name
    for name in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
}
ImageProcessor: TypeAlias = Any  # transformers' processors have no common typed attributes

# Eager attention is what both exporters turn into plain MatMul and Softmax nodes.
_ATTENTION = "eager"


@dataclass(frozen=True)
class Source:
    """What an export starts from.

    Attributes:
        folder: The checkpoint.
        model: The network, in evaluation mode.
        processor: Its own image processor, the reference for pixels.
        labels: In output order.
        ai_labels: Which of them mean AI-generated.
        steps: The processor's resizing and cropping.
        height: Of the network's input, in pixels.
        width: Of the network's input, in pixels.
        scale: float32 `[3]`; the network sees `scale * pixel + offset`, channel by channel.
        offset: float32 `[3]`.
        notes: What training and evaluation left in the folder (`aiface.json`, `evaluation.json`), by name.
    """

    folder: Path
    model: PreTrainedModel
    processor: ImageProcessor
    labels: tuple[str, ...]
    ai_labels: tuple[str, ...]
    steps: tuple[Step, ...]
    height: int
    width: int
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    notes: dict[str, Any]

    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        """The original's own answers.

        Args:
            photos: Anything that the runtime takes; decoded by the runtime, so that only what follows is compared.

        Returns:
            float32 `[N, C]`, by transformers' image processor, its model and softmax.
        """
        rows = []
        with torch.inference_mode():
            for photo in photos:  # one at a time: what a user of the checkpoint does
                features = self.processor(Image.fromarray(load_rgb(photo)), return_tensors="pt")
                rows.append(self.model(**features).logits.softmax(-1)[0].numpy())
        return np.stack(rows)

    @property
    def sha256(self) -> str:
        """Hash of the weights file."""
        weights = next(path for name in _WEIGHTS if (path := self.folder / name).is_file())
        return hashlib.sha256(weights.read_bytes()).hexdigest()


_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def read_source(folder: Path, ai_label: Sequence[str] = ()) -> Source:
    """Open a checkpoint folder.

    Args:
        folder: With `config.json`, `model.safetensors` and `preprocessor_config.json`.
        ai_label: Labels that mean AI-generated, where their names do not say.

    Raises:
        SourceError: The folder is not a whole image-classification checkpoint, or uses what cannot be exported.
    """
    _check_files(folder)
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder)
        processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise SourceError(f"{folder}: its configuration cannot be read ({first_line(error)})") from error
    if not any(name.endswith("ForImageClassification") for name in config.architectures or ()):
        raise SourceError(f"{folder}: is {config.architectures}, not an image classifier")
    id2label = config.id2label or {}
    labels = tuple(str(id2label[index]) for index in range(len(id2label)))
    steps, (height, width) = _steps(processor, folder)
    scale, offset = _normalisation(processor)
    ai = tuple(ai_labels(labels, ai_label))
    return Source(folder, _model(folder), processor, labels, ai, steps, height, width, scale, offset, _notes(folder))


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; give a transformers checkpoint folder")
    for name in ("config.json", "preprocessor_config.json"):
        if not (folder / name).is_file():
            raise SourceError(f"{folder}: lacks {name}; save the model and its image processor with save_pretrained")
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise SourceError(f"{folder}: lacks its weights ({' or '.join(_WEIGHTS)})")


def _model(folder: Path) -> PreTrainedModel:
    arguments: dict[str, Any] = {"dtype": torch.float32, "output_loading_info": True, "weights_only": True}
    try:
        try:
            model, info = AutoModelForImageClassification.from_pretrained(
                folder, attn_implementation=_ATTENTION, **arguments
            )
        except ValueError:  # convolutional families have no attention to choose
            model, info = AutoModelForImageClassification.from_pretrained(folder, **arguments)
    except Exception as error:
        raise SourceError(f"{folder}: its weights cannot be loaded ({first_line(error)})") from error
    if missing := [*info["missing_keys"], *info["mismatched_keys"]]:
        raise SourceError(f"{folder}: its weights do not fit its config ({len(missing)} differ, {missing[0]} first)")
    return cast("PreTrainedModel", model.eval())


def _steps(processor: ImageProcessor, folder: Path) -> tuple[tuple[Step, ...], tuple[int, int]]:
    """What the processor does to the photo's geometry, and the size that comes out."""
    steps: list[Step] = []
    out: tuple[int, int] | None = None
    if getattr(processor, "do_resize", False):
        size, filter_ = dict(processor.size), _FILTERS[int(processor.resample)]
        if set(size) == {"height", "width"}:
            out = (size["height"], size["width"])
            steps.append(Resize(*out, filter_))
        elif set(size) == {"shortest_edge"}:
            steps.append(ResizeShorter(size["shortest_edge"], filter_))
        else:
            raise SourceError(f"{folder}: its processor resizes by {size}, which is not known here")
    if getattr(processor, "do_center_crop", False):
        out = (processor.crop_size["height"], processor.crop_size["width"])
        steps.append(CenterCrop(*out))
    if out is None:
        raise SourceError(f"{folder}: its processor does not bring photos to one size")
    return tuple(steps), out


def _normalisation(processor: ImageProcessor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    factor = processor.rescale_factor if getattr(processor, "do_rescale", False) else 1.0
    mean, std = np.zeros(3), np.ones(3)
    if getattr(processor, "do_normalize", False):
        mean, std = np.broadcast_to(processor.image_mean, 3), np.broadcast_to(processor.image_std, 3)
    return (factor / std).astype(np.float32), (-mean / std).astype(np.float32)


def _notes(folder: Path) -> dict[str, Any]:
    notes = {}
    for name in ("aiface", "evaluation"):
        if (file := folder / f"{name}.json").is_file():
            try:
                notes[name] = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise SourceError(f"{file}: not JSON ({error}); make it again or remove it") from error
    return notes


def first_line(error: Exception) -> str:
    """What an error says, without the essay that libraries add."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

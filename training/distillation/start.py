"""What a student starts from: EfficientNet-Lite with its ImageNet weights, or a transformers checkpoint of a Swin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel, SwinForImageClassification

from aiface_evaluation.errors import DataError

from ..checkpoint import ImageProcessor, start_from
from .lite import lite_from_imagenet, processor
from .recipe import StudentRecipe


@dataclass(frozen=True, kw_only=True)
class Start:
    """A network whose classifier is linear in the means of its cells, over places.

    Attributes:
        network: The network.
        processor: Processor of its input.
        classifier: Last layer of it.
        cells: Gives float32 `[N, channels, h, w]` of what the network takes, float32 `[N, 3, H, W]`.
    """

    network: PreTrainedModel
    processor: ImageProcessor
    classifier: nn.Linear
    cells: Callable[[torch.Tensor], torch.Tensor]


def open_start(init: Path, recipe: StudentRecipe) -> Start:
    """Open the network that the recipe names.

    Args:
        init: ImageNet weights, as `lite_from_imagenet` takes them; for `swin` a transformers checkpoint folder.
        recipe: The numbers of the run.

    Raises:
        DataError: `init` is not of that network.
    """
    if recipe.variant != "swin":
        lite = lite_from_imagenet(init, recipe.variant, recipe.image_size)
        feeder = processor(recipe.image_size)
        return Start(network=lite, processor=feeder, classifier=lite.classifier, cells=lite.cells)
    network, feeder = start_from(init, recipe.image_size)
    if not isinstance(network, SwinForImageClassification):
        raise DataError(f"{init}: is a {type(network).__name__}; the recipe's variant needs a Swin's checkpoint folder")
    return Start(
        network=network,
        processor=feeder,
        classifier=cast("nn.Linear", network.classifier),
        cells=lambda pixels: _swin_cells(network, pixels),
    )


def _swin_cells(network: SwinForImageClassification, pixels: torch.Tensor) -> torch.Tensor:
    states: torch.Tensor = network.swin(pixels).last_hidden_state  # [N, places, channels]; its pooler takes their mean
    side = round(states.shape[1] ** 0.5)
    return states.transpose(1, 2).reshape(len(states), -1, side, side)

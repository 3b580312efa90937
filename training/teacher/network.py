"""CLIP's first blocks as a network of ours."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import CLIPImageProcessor, CLIPVisionModel

from aiface_evaluation.dataset import LABELS
from aiface_evaluation.errors import DataError
from aiface_export.networks import ClipBlocksConfig, ClipBlocksForImageClassification

from ..checkpoint import ImageProcessor, has_bfloat16
from ..data.store import Rows
from ..pixels import normaliser
from .recipe import TeacherRecipe


def teacher_network(clip: CLIPVisionModel, recipe: TeacherRecipe) -> ClipBlocksForImageClassification:
    """Return the first blocks of a tower with a head that knows nothing yet.

    Raises:
        DataError: The tower has fewer blocks than the recipe keeps.
    """
    config = ClipBlocksConfig(
        vision=clip.config.to_diff_dict() | {"num_hidden_layers": recipe.kept_blocks},
        class_blocks=recipe.class_blocks,
        patch_blocks=recipe.patch_blocks,
        hidden_size=recipe.hidden_size,
        face_block=recipe.kept_blocks,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    network = ClipBlocksForImageClassification(config)
    missing, _ = network.clip.load_state_dict(clip.vision_model.state_dict(), strict=False)  # without the upper blocks
    if missing:
        raise DataError(
            f"CLIP's tower has {clip.config.num_hidden_layers} blocks; the recipe keeps {recipe.kept_blocks}"
        )
    network.train(False)
    return network


def clip_processor(image_size: int) -> ImageProcessor:
    """Return CLIP's processor: shorter side resized, centre cropped."""
    return CLIPImageProcessor(size={"shortest_edge": image_size}, crop_size={"height": image_size, "width": image_size})


def rows_of(network: ClipBlocksForImageClassification, processor: ImageProcessor) -> Callable[[torch.Tensor], Rows]:
    """Return what gives of uint8 pixels `[N, H, W, 3]` the pixels and the head's `features`, float16."""
    normalise = normaliser(processor)

    def compute(pixels: torch.Tensor) -> Rows:
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            features = network.features(network.blocks(normalise(pixels)))
        return {"pixels": pixels, "features": features.half()}

    return compute

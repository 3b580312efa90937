"""CLIP's image tower as the teacher: which part is frozen, and which learns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from transformers import CLIPImageProcessor, CLIPVisionModel

from aiface_evaluation.dataset import LABELS
from aiface_export.networks import ClipBlocksConfig, ClipBlocksForImageClassification

from ..checkpoint import ImageProcessor, has_bfloat16
from ..data.store import Rows
from ..pixels import normaliser
from .recipe import TeacherRecipe


def teacher_network(clip: CLIPVisionModel, recipe: TeacherRecipe) -> ClipBlocksForImageClassification:
    """Return the first blocks of a tower, frozen, with a head that knows nothing yet."""
    vision = clip.config.to_diff_dict() | {"num_hidden_layers": recipe.kept_blocks}
    config = ClipBlocksConfig(
        vision=vision,
        class_blocks=recipe.class_blocks,
        patch_blocks=recipe.patch_blocks,
        face_block=recipe.kept_blocks,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    network = ClipBlocksForImageClassification(config)
    network.clip.load_state_dict(clip.vision_model.state_dict(), strict=False)  # the upper blocks are not kept
    network.requires_grad_(False)
    network.train(False)
    return network


def clip_processor(image_size: int) -> ImageProcessor:
    """Return CLIP's processor: shorter side resized, centre cropped."""
    return CLIPImageProcessor(size={"shortest_edge": image_size}, crop_size={"height": image_size, "width": image_size})


class Teacher(nn.Module):
    """The network in two parts: what is computed once a view, and what learns.

    Args:
        network: The network by `teacher_network`.
        frozen_blocks: Number of blocks of the first part.
    """

    def __init__(self, network: ClipBlocksForImageClassification, frozen_blocks: int) -> None:
        super().__init__()
        self.network, self._frozen = network, frozen_blocks
        config = network.config
        self._lower = [(block, True) for block in config.class_blocks if block <= frozen_blocks]
        self._lower += [(block, False) for block in config.patch_blocks if block <= frozen_blocks]

    def lower(self, processor: ImageProcessor) -> Callable[[torch.Tensor], Rows]:
        """Return what gives of uint8 `[N, H, W, 3]` the `tokens` bfloat16 behind the frozen blocks.

        Further `features` float16 `[N, blocks, hidden_size]`, those that the head sees of them.
        """
        normalise = normaliser(processor)

        def compute(pixels: torch.Tensor) -> Rows:
            clip = self.network.clip
            with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
                states = [clip.pre_layrnorm(clip.embeddings(normalise(pixels)))]
                for layer in clip.encoder.layers[: self._frozen]:
                    states.append(layer(states[-1], None, None)[0])
            features = [_pooled(states[block], of_class=of_class) for block, of_class in self._lower]
            return {"tokens": states[-1].bfloat16(), "features": torch.stack(features, dim=1).half()}

        return compute

    def features(self, rows: Rows) -> torch.Tensor:
        """Return what the head sees, float32 `[N, features]`, of rows by `lower`."""
        lower = dict(zip(self._lower, rows["features"].float().unbind(1), strict=True))
        tokens, pooled = rows["tokens"], dict(lower)
        for number, layer in enumerate(self.network.clip.encoder.layers[self._frozen :], self._frozen + 1):
            tokens = layer(tokens, None, None)[0]
            pooled |= {(number, of_class): _pooled(tokens, of_class=of_class) for of_class in (True, False)}
        config = self.network.config
        wanted = [(block, True) for block in config.class_blocks] + [(block, False) for block in config.patch_blocks]
        return torch.cat([pooled[key] for key in wanted], dim=-1)


def _pooled(tokens: torch.Tensor, *, of_class: bool) -> torch.Tensor:
    """Return the class token or the mean of the patch tokens, float32 `[N, hidden_size]`."""
    return (tokens[:, 0] if of_class else tokens[:, 1:].mean(dim=1)).float()

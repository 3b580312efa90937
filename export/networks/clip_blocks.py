"""The first blocks of a CLIP image tower with a head on the tokens of several of them.

The middle blocks carry the traces that generators leave; the last ones tell what is shown (Koutlis & Papadopoulos,
"Leveraging Representations from Intermediate Encoder-blocks for Synthetic Image Detection", 2024). So the tower is cut
behind the last block that the head looks at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel, PretrainedConfig, PreTrainedModel

from .outputs import CellsOutput


class ClipBlocksConfig(PretrainedConfig):
    """Configuration of `ClipBlocksForImageClassification`.

    Args:
        vision: Configuration of the image tower, as `CLIPVisionConfig` takes it; `num_hidden_layers` blocks are kept.
        class_blocks: Blocks, from 1, whose class token the head sees.
        patch_blocks: Blocks, from 1, whose patch tokens it sees the mean of.
        hidden_size: Units of the head's hidden layer; 0 for a linear head.
        face_block: Block whose patch tokens tell where a face is; 0 for no face head.
        options: Settings of every configuration, `id2label` for one.
    """

    model_type = "aiface_clip_blocks"

    def __init__(
        self,
        vision: Mapping[str, Any] | None = None,
        class_blocks: Sequence[int] = (6, 8, 10),
        patch_blocks: Sequence[int] = (6, 9),
        hidden_size: int = 0,
        face_block: int = 0,
        **options: Any,
    ) -> None:
        self.vision = dict(vision or {})
        self.class_blocks, self.patch_blocks = list(class_blocks), list(patch_blocks)
        self.hidden_size, self.face_block = hidden_size, face_block
        super().__init__(**options)


class ClipBlocksForImageClassification(PreTrainedModel):  # type: ignore[no-untyped-call]
    """CLIP's image tower, cut, with a linear head or one with a hidden layer (GELU).

    Args:
        config: Configuration of the network.
    """

    config_class = ClipBlocksConfig
    main_input_name = "pixel_values"
    _supports_sdpa = True

    def __init__(self, config: ClipBlocksConfig) -> None:
        super().__init__(config)
        vision = CLIPVisionConfig(  # type: ignore[no-untyped-call]
            **config.vision,
            attn_implementation=config._attn_implementation,  # noqa: SLF001 transformers has no public name
        )
        self.clip = CLIPVisionModel(vision).vision_model
        self.clip.post_layernorm = nn.Identity()  # type: ignore[assignment] # of the whole tower's end
        features = (len(config.class_blocks) + len(config.patch_blocks)) * vision.hidden_size
        self.hidden = nn.Sequential(nn.Linear(features, config.hidden_size), nn.GELU()) if config.hidden_size else None
        self.classifier = nn.Linear(config.hidden_size or features, config.num_labels)
        self.face_head = nn.Conv2d(vision.hidden_size, 1, 1) if config.face_block else None
        self.post_init()  # type: ignore[no-untyped-call]

    def blocks(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the tokens `[N, 1 + h * w, hidden_size]` behind each block, the embeddings first."""
        states: tuple[torch.Tensor, ...] = self.clip(pixel_values, output_hidden_states=True).hidden_states
        return states

    def features(self, blocks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return what the classifier sees, `[N, features]`: class tokens, then means of patch tokens."""
        tokens = [blocks[block][:, 0] for block in self.config.class_blocks]
        means = [blocks[block][:, 1:].mean(dim=1) for block in self.config.patch_blocks]
        return torch.cat([*tokens, *means], dim=-1)

    def forward(self, pixel_values: torch.Tensor) -> CellsOutput:
        """Answer for float32 `[N, 3, image_size, image_size]`."""
        blocks = self.blocks(pixel_values)
        faces = None if self.face_head is None else self.face_head(self._patches(blocks))[:, 0]
        return CellsOutput(logits=self.logits(self.features(blocks)), face_logits=faces)

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits `[N, C]` of what `features` gives."""
        logits: torch.Tensor = self.classifier(features if self.hidden is None else self.hidden(features))
        return logits

    def cells(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return what the face head sees, float32 `[N, hidden_size, h, w]`."""
        return self._patches(self.blocks(pixel_values))

    def _patches(self, blocks: Sequence[torch.Tensor]) -> torch.Tensor:
        patches = blocks[self.config.face_block][:, 1:]
        side = round(patches.shape[1] ** 0.5)
        cells: torch.Tensor = patches.transpose(1, 2).unflatten(2, (side, side))  # len(patches) would fix the batch
        return cells

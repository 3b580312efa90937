"""How the teacher is made, and how photos are shown to it and to its student."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from ..data.augmentation import Share
from ..data.views import ViewCounts
from ..recipe import AugmentedRecipe


class TeacherRecipe(AugmentedRecipe):
    """How CLIP's first blocks, as they are, get a head with a hidden layer.

    Attributes:
        class_blocks: Blocks, from 1, whose class token the head sees.
        patch_blocks: Blocks, from 1, whose patch tokens it sees the mean of.
        views: Numbers of views of each photo.
        kinds: Weight of AI photos of a kind that the data names; 1 for kinds that are not listed, 0 to leave them out.
        hidden_size: Units of the head's hidden layer.
        input_dropout: Share of the features that is dropped in training.
        dropout: Share of the hidden units that is dropped in training.
        steps: Number of batches.
        batch_size: Views a step.
        learning_rate: Peak of the schedule, above 0.
        weight_decay: Weight decay of AdamW, at least 0.
        label_smoothing: Share of the target that is spread over both labels.
    """

    class_blocks: tuple[PositiveInt, ...]
    patch_blocks: tuple[PositiveInt, ...]
    views: ViewCounts
    kinds: dict[str, Share]
    hidden_size: PositiveInt
    input_dropout: Share
    dropout: Share
    steps: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    weight_decay: Annotated[float, Field(ge=0)]
    label_smoothing: Share

    @property
    def kept_blocks(self) -> int:
        """Number of blocks that are kept."""
        return max(*self.class_blocks, *self.patch_blocks)

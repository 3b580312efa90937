"""How the teacher is made."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from ..data.augmentation import Share
from ..data.views import ViewCounts
from ..recipe import BaseRecipe


class TeacherRecipe(BaseRecipe):
    """How CLIP's first blocks become a classifier: a head by regression, then adapters in the upper of them.

    Attributes:
        frozen_blocks: Blocks that stay as they are; what they make of each view is kept.
        class_blocks: Blocks, from 1, whose class token the head sees; the last block named is the last one kept.
        patch_blocks: Blocks, from 1, whose patch tokens it sees the mean of.
        rank: Rank of the adapters in the blocks above the frozen ones.
        views: Numbers of views of each photo.
        kinds: Weight of AI photos of a kind that the data names; 1 for kinds that are not listed, 0 to leave them out.
        steps: Number of batches.
        photos: Photos a step, of each of which two views are shown.
        learning_rate: Peak of the adapters' schedule, above 0.
        head_learning_rate: Peak of the head's.
        weight_decay: Weight decay of AdamW, at least 0.
        consistency: Weight of the squared difference between the margins of a photo's two views (2604.10102 on arXiv).
        label_smoothing: Share of the target that is spread over both labels.
        head_penalty: scikit-learn's `C` of the regression that starts the head.
    """

    frozen_blocks: PositiveInt
    class_blocks: tuple[PositiveInt, ...]
    patch_blocks: tuple[PositiveInt, ...]
    rank: PositiveInt
    views: ViewCounts
    kinds: dict[str, Share]
    steps: PositiveInt
    photos: PositiveInt
    learning_rate: PositiveFloat
    head_learning_rate: PositiveFloat
    weight_decay: Annotated[float, Field(ge=0)]
    consistency: Annotated[float, Field(ge=0)]
    label_smoothing: Share
    head_penalty: PositiveFloat

    @property
    def kept_blocks(self) -> int:
        """Number of blocks that are kept."""
        return max(*self.class_blocks, *self.patch_blocks)

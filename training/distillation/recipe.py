"""How a student is distilled."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from ..data.augmentation import Share
from ..recipe import BaseRecipe


class StudentRecipe(BaseRecipe):
    """How a student is distilled from a teacher: AdamW with warm-up and a cosine schedule, weights averaged.

    Attributes:
        variant: The network.
        kinds: Weight of AI photos of a kind that the data names; 1 for kinds that are not listed, 0 to leave them out.
        steps: Number of batches.
        batch_size: Views a step.
        learning_rate: Peak of the network's schedule, above 0.
        head_learning_rate: Peak of the head's.
        weight_decay: Weight decay of AdamW, at least 0.
        freeze: Name prefixes of parameters that stay as they were, beside all of BatchNorm's.
        teacher_share: Share of the teacher's probability in the target; the label has the rest.
        temperature: Divisor of the teacher's margins, from 1.
        label_smoothing: Share of the target that is spread over both labels.
        feature_weight: Weight of the loss of the teacher's features.
        head_penalty: scikit-learn's `C` of the regression that starts the head.
    """

    variant: Literal["lite0", "lite1", "lite2", "swin"]
    kinds: dict[str, Share]
    steps: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    head_learning_rate: PositiveFloat
    weight_decay: Annotated[float, Field(ge=0)]
    freeze: tuple[str, ...]
    teacher_share: Share
    temperature: Annotated[float, Field(ge=1)]
    label_smoothing: Share
    feature_weight: Annotated[float, Field(ge=0)]
    head_penalty: PositiveFloat

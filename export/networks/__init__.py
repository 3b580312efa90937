"""Networks of this project's own, as transformers' Auto classes load them once this package is imported."""

from __future__ import annotations

from transformers import AutoConfig, AutoModelForImageClassification

from .clip_blocks import ClipBlocksConfig, ClipBlocksForImageClassification
from .efficientnet_lite import EfficientNetLiteConfig, EfficientNetLiteForImageClassification

OwnNetwork = EfficientNetLiteForImageClassification | ClipBlocksForImageClassification

__all__ = [
    "ClipBlocksConfig",
    "ClipBlocksForImageClassification",
    "EfficientNetLiteConfig",
    "EfficientNetLiteForImageClassification",
    "OwnNetwork",
]

for _config, _network in (
    (ClipBlocksConfig, ClipBlocksForImageClassification),
    (EfficientNetLiteConfig, EfficientNetLiteForImageClassification),
):
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
    AutoModelForImageClassification.register(_config, _network, exist_ok=True)

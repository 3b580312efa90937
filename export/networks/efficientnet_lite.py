"""EfficientNet-Lite with a linear head on the averages of several stages.

EfficientNet without squeeze-excite and with ReLU6, as Google published it for integer arithmetic (TensorFlow's
`efficientnet/lite`; Tan & Le, "EfficientNet", 2019). Neither transformers nor the base of timm that runs without
torchvision has it.

The outputs of several stages and their squares are averaged to the cells of the last stage, so that the logits remain a
linear function of means over cells: the class activation map of such a head adds up to the logit exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel

from .outputs import CellsOutput

_STEM, _HEAD = 32, 1280  # channels; the Lite variants scale neither
_EPSILON, _MOMENTUM = 1e-3, 0.01  # of the published BatchNorm


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_SCALING = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}  # width and depth


class EfficientNetLiteConfig(PretrainedConfig):
    """Configuration of `EfficientNetLiteForImageClassification`.

    Args:
        variant: `lite0`, `lite1` or `lite2`.
        image_size: Side of the square input, in pixels, a multiple of 32.
        pooled_stages: Stages, from 0, whose outputs and squares the head sees beside the last features.
        dropout: Share of the averaged features that is dropped in training.
        has_face_head: Whether each cell is also asked whether a face lies in it.
        options: Settings of every configuration, `id2label` for one.
    """

    model_type = "aiface_efficientnet_lite"

    def __init__(
        self,
        variant: str = "lite0",
        image_size: int = 224,
        pooled_stages: Sequence[int] = (1, 2, 4, 6),
        dropout: float = 0.2,
        has_face_head: bool = False,
        **options: Any,
    ) -> None:
        self.variant, self.image_size = variant, image_size
        self.pooled_stages, self.dropout, self.has_face_head = list(pooled_stages), dropout, has_face_head
        super().__init__(**options)


class _SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding for inputs whose sides are multiples of the stride."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride[0] == 1:
            return super().forward(x)
        total = self.kernel_size[0] - self.stride[0]
        before, after = total // 2, total - total // 2
        return super().forward(functional.pad(x, (before, after, before, after)))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, *, depthwise: bool = False) -> nn.Sequential:
    padding = kernel // 2 if stride == 1 else 0
    groups = inputs if depthwise else 1
    convolution = _SameConv(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, _EPSILON, _MOMENTUM))


class _Block(nn.Module):
    """Inverted residual: expand, filter each channel, project; a skip where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inputs * expand
        self.expand = _convolution(inputs, hidden, 1) if expand > 1 else None
        self.depthwise = _convolution(hidden, hidden, kernel, stride, depthwise=True)
        self.project = _convolution(hidden, outputs, 1)
        self._skips = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = x if self.expand is None else functional.relu6(self.expand(x))
        hidden = functional.relu6(self.depthwise(hidden))
        projected: torch.Tensor = self.project(hidden)
        return projected + x if self._skips else projected


class EfficientNetLiteForImageClassification(PreTrainedModel):  # type: ignore[no-untyped-call]
    """EfficientNet-Lite whose logits are linear in means over the cells of its last stage.

    Args:
        config: Configuration of the network.
    """

    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        width, depth = _SCALING[config.variant]
        self.stem = _convolution(3, _STEM, 3, 2)
        self.stages = nn.ModuleList()
        channels, sizes = _STEM, []
        for number, stage in enumerate(_STAGES):
            is_end = number in (0, len(_STAGES) - 1)  # which the Lite variants do not deepen
            repeats = stage.repeats if is_end else math.ceil(stage.repeats * depth)
            outputs = _rounded(stage.channels * width)
            blocks = [
                _Block(
                    outputs if later else channels, outputs, stage.kernel, 1 if later else stage.stride, stage.expand
                )
                for later in range(repeats)
            ]
            self.stages.append(nn.Sequential(*blocks))
            channels = outputs
            sizes.append(outputs)
        self.head = _convolution(channels, _HEAD, 1)
        self.features = 2 * sum(sizes[stage] for stage in config.pooled_stages) + _HEAD
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(self.features, config.num_labels)
        self.face_head = nn.Conv2d(self.features, 1, 1) if config.has_face_head else None
        self.post_init()  # type: ignore[no-untyped-call]

    def cells(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return float32 `[N, features, h, w]`, of which the head sees the mean over the cells."""
        x = functional.relu6(self.stem(pixel_values))
        side = self.config.image_size // 32
        pooled = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in self.config.pooled_stages:
                window = x.shape[-1] // side
                pooled += [functional.avg_pool2d(each, window) if window > 1 else each for each in (x, x * x)]
        return torch.cat([*pooled, functional.relu6(self.head(x))], dim=1)

    def forward(self, pixel_values: torch.Tensor) -> CellsOutput:
        """Answer for float32 `[N, 3, image_size, image_size]`."""
        cells = self.cells(pixel_values)
        faces = None if self.face_head is None else self.face_head(cells)[:, 0]
        return CellsOutput(logits=self.classifier(self.dropout(cells.mean(dim=(2, 3)))), face_logits=faces)


def _rounded(channels: float) -> int:
    """Round to a multiple of 8, by at most a tenth down."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded

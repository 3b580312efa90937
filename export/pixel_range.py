"""Ranges in which a network is fed a photo's levels; needs no framework, so that the command line can read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

PixelRange: TypeAlias = Literal["0-1", "0-255", "-1-1", "caffe", "torch"]
RANGES: tuple[PixelRange, ...] = get_args(PixelRange)

# ImageNet's, red first, as `keras.applications.imagenet_utils.preprocess_input` has them.
CAFFE_MEAN = (123.68, 116.779, 103.939)
TORCH_MEAN, TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_Three: TypeAlias = tuple[float, float, float]
# The network sees `scale * level + offset`, channel by channel in the order in which it gets them.
NORMALISATIONS: Mapping[PixelRange, tuple[_Three, _Three]] = {
    "0-1": ((1 / 255,) * 3, (0.0,) * 3),
    "0-255": ((1.0,) * 3, (0.0,) * 3),
    "-1-1": ((1 / 127.5,) * 3, (-1.0,) * 3),
    "caffe": ((1.0,) * 3, (-CAFFE_MEAN[2], -CAFFE_MEAN[1], -CAFFE_MEAN[0])),
    "torch": (
        (1 / 255 / TORCH_STD[0], 1 / 255 / TORCH_STD[1], 1 / 255 / TORCH_STD[2]),
        (-TORCH_MEAN[0] / TORCH_STD[0], -TORCH_MEAN[1] / TORCH_STD[1], -TORCH_MEAN[2] / TORCH_STD[2]),
    ),
}

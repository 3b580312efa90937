"""The residual network of `arsath-sm/face_classification_model1`, for Keras: its answer above 0.5 means a real face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image

_WIDTHS = (1, 2, 4, 8)  # of the stages, times the first one's
_BLOCKS = 2


def reference_resnet(width: int = 64, image_size: int = 224) -> keras.Model:
    """Return the reference network with random weights.

    A 7 x 7 convolution, four stages of two residual blocks, global average pooling, a dense layer of four times the
    width with dropout of a half, and one sigmoid. At full size 11.3 million weights: 45 MB, or 136 MB with the state of
    Adam.

    Args:
        width: Channels of the first stage; 64 is the original's.
        image_size: Side of the square input, in pixels.

    Returns:
        From float32 `[N, image_size, image_size, 3]`, 0 to 1, in the order blue, green, red, to P(real) `[N, 1]`.
    """
    image = keras.Input((image_size, image_size, 3), name="image")
    x = _convolution(image, width, 7, strides=2)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for stage, factor in enumerate(_WIDTHS):
        for block in range(_BLOCKS):
            x = _residual(x, factor * width, strides=2 if stage and not block else 1)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(4 * width, activation="relu")(x)
    x = keras.layers.Dropout(0.5)(x)
    # In float32 under any policy: bfloat16 has no more than 128 probabilities between a half and one.
    x = keras.layers.Dense(1, activation="sigmoid", name="real", dtype="float32")(x)
    return keras.Model(image, x, name="reference_resnet")


def random_reference_resnet(pictures: Sequence[Image.Image], width: int = 64, image_size: int = 224) -> keras.Model:
    """Return the same, its answers around a half and different from picture to picture: what exports are proved on.

    Args:
        pictures: RGB, of any size.
        width: Number of channels of the first stage, as `reference_resnet` takes it.
        image_size: Side of the square input, in pixels.
    """
    keras.utils.set_random_seed(0)
    model = reference_resnet(width, image_size)
    sized = [picture.resize((image_size, image_size), Image.Resampling.BILINEAR) for picture in pictures]
    pixels = np.stack([np.asarray(picture, dtype=np.float32)[..., ::-1] / 255 for picture in sized])
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0  # takes over the statistics of what flows through
    model(pixels, training=True)
    for layer in norms:
        layer.momentum = 0.99
    answers = model.predict(pixels, verbose=0).astype(np.float64)
    logits = np.log(answers / (1 - answers))
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel / logits.std(), (bias - logits.mean()) / logits.std()])
    return model


def _convolution(x: Any, width: int, size: int, strides: int = 1) -> Any:
    x = keras.layers.Conv2D(width, size, strides=strides, padding="same")(x)
    return keras.layers.BatchNormalization()(x)


def _residual(x: Any, width: int, strides: int) -> Any:
    shortcut = x if x.shape[-1] == width and strides == 1 else _convolution(x, width, 1, strides)
    x = keras.layers.Activation("relu")(_convolution(x, width, 3, strides))
    x = _convolution(x, width, 3)
    return keras.layers.Activation("relu")(keras.layers.Add()([x, shortcut]))

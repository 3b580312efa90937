"""The residual network of seed 2, for Keras: its answer above 0.5 means a real face."""

from __future__ import annotations

from typing import Any

import keras

_WIDTHS = (1, 2, 4, 8)  # of the stages, times the first one's
_BLOCKS = 2


def seed_resnet(width: int = 64, image_size: int = 224) -> keras.Model:
    """The network of `arsath-sm/face_classification_model1`, with random weights.

    A 7 x 7 convolution, four stages of two residual blocks, global average pooling, a dense layer of four times the
    width with dropout of a half, and one sigmoid. At full size 11.3 million weights: 45 MB, or 136 MB with the state of
    Adam.

    Args:
        width: Channels of the first stage; 64 is the seed's.
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
    x = keras.layers.Dense(1, activation="sigmoid", name="real")(x)
    return keras.Model(image, x, name="seed_resnet")


def _convolution(x: Any, width: int, size: int, strides: int = 1) -> Any:
    x = keras.layers.Conv2D(width, size, strides=strides, padding="same")(x)
    return keras.layers.BatchNormalization()(x)


def _residual(x: Any, width: int, strides: int) -> Any:
    shortcut = x if x.shape[-1] == width and strides == 1 else _convolution(x, width, 1, strides)
    x = keras.layers.Activation("relu")(_convolution(x, width, 3, strides))
    x = _convolution(x, width, 3)
    return keras.layers.Activation("relu")(keras.layers.Add()([x, shortcut]))

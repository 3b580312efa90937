"""Made the files beside it, with tf_keras 2.21 (Keras 2) on TensorFlow 2.21: networks with random weights.

`answers` in each file are what Keras 2 gives for `pixels`. `python make.py FOLDER` makes them again.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tf_keras

layers = tf_keras.layers
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.float32)


def backbone() -> Any:
    """Return what Keras 3 does not read: operations, `groups`, a name with a slash."""
    image = tf_keras.Input((16, 16, 3))
    x = tf_keras.applications.densenet.preprocess_input(image)
    x = layers.DepthwiseConv2D(3, use_bias=False)(x)
    x = layers.SeparableConv2D(4, 3)(x)
    x = layers.BatchNormalization(name="stem/norm")(x)
    return tf_keras.Model(image, layers.LeakyReLU(alpha=0.1)(x))


def save(model: Any, file: Path) -> None:
    model.save(file)
    with h5py.File(file, "r+") as archive:
        archive["pixels"], archive["answers"] = PIXELS, model.predict(PIXELS, verbose=0)


def main(folder: Path) -> None:
    """Save both networks."""
    tf_keras.utils.set_random_seed(0)
    body = tf_keras.Sequential([backbone(), layers.GlobalAveragePooling2D()])
    head = tf_keras.Sequential([layers.Dense(4, activation="relu"), layers.Dense(2, activation="softmax")])
    nested = tf_keras.Sequential([body, head])  # as Teachable Machine nests them
    nested.build((None, 16, 16, 3))
    save(nested, folder / "nested.h5")
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    image = tf_keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(
        layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(layers.RandomRotation(0.1)(image)))
    )
    save(tf_keras.Model(image, layers.Dense(1, activation="sigmoid", dtype="float32")(x)), folder / "mixed.h5")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

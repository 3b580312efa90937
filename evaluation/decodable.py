"""Photos that can be decoded, sorted out from those that cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aiface_runtime.errors import InputError
from aiface_runtime.files import sha256_of

from .dataset import Sample
from .image_stats import measure
from .parallel import ahead
from .types import Progress, Scores

_HASH_DIGITS = 16


@dataclass(frozen=True)
class DecodablePhotos:
    """Photos that can be decoded.

    Attributes:
        samples: N of them.
        image_stats: float64 `[N, S]`, in the order of `IMAGE_STATS`.
        hashes: First hexadecimal digits of each file's SHA-256.
    """

    samples: list[Sample]
    image_stats: Scores
    hashes: list[str]


def decodable(
    samples: Sequence[Sample], progress: Progress, on_undecodable: Callable[[InputError], None] | None
) -> DecodablePhotos:
    """Sort out photos that cannot be decoded, and measure the others.

    Args:
        samples: Labelled photos.
        progress: Wraps an iterable to show how far it is.
        on_undecodable: Called for each photo that cannot be decoded; None to raise its error.

    Raises:
        InputError: A photo cannot be decoded.
    """
    usable, image_stats, hashes = [], [], []
    for sample, result in zip(samples, ahead(_inspect, progress(samples)), strict=True):
        if not isinstance(result, InputError):
            usable.append(sample)
            image_stats.append(result[0])
            hashes.append(result[1])
        elif on_undecodable is None:
            raise result
        else:
            on_undecodable(result)
    return DecodablePhotos(usable, np.array(image_stats), hashes)


def _inspect(sample: Sample) -> tuple[tuple[float, ...], str] | InputError:
    try:
        return measure(sample), hash_of(sample)
    except InputError as error:
        return error


def hash_of(sample: Sample) -> str:
    """Give the first 16 hexadecimal digits of the SHA-256 of a photo's file, by which an evaluation names it."""
    return sha256_of([sample.path])[:_HASH_DIGITS]

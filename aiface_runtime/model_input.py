"""From any input to what the model takes, with what to know of the photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .errors import ImageDecodeError, ImageMemoryError
from .images import DecodedImage, ImageInput, decode, describe, read_once
from .limits import Limits
from .prediction import PhotoWarning
from .preprocess import is_enlarged, preprocess

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .provenance import Provenance
    from .steps import Step


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about a photo before the model saw it.

    Attributes:
        warnings: Names of what to know of the photo, in `PhotoWarning`'s order.
        missing: Share of the photo for which its file has no data, 0 to 1.
        quality: Quality of a JPEG on libjpeg's scale, 1 to 100; None of other files and of pictures without one.
        provenance: All that the file says of itself, where it was asked for.
    """

    warnings: tuple[PhotoWarning, ...]
    missing: float
    quality: int | None = None
    provenance: Provenance | None = None

    def with_warnings(self, more: Sequence[PhotoWarning]) -> Findings:
        """Return the same with other warnings too."""
        return replace(self, warnings=tuple(name for name in PhotoWarning if name in (*self.warnings, *more)))


@dataclass(frozen=True, slots=True, eq=False)
class ModelInput:
    """A photo at the model's size, uint8 RGB `[height, width, 3]`, and what was found out about it."""

    pixels: NDArray[np.uint8]
    findings: Findings


def model_input(
    image: ImageInput,
    steps: Sequence[Step],
    min_size: tuple[int, int] | None,
    limits: Limits,
    *,
    provenance: bool = False,
) -> ModelInput:
    """Decode a photo and bring it to the model's size.

    Args:
        image: Anything that `decode` takes.
        steps: Resizes and crops of the model's manifest; without any the photo is left at its own size.
        min_size: Width and height that must remain when it is decoded at a smaller scale; None for full size.
        limits: The most that it may take.
        provenance: Whether to read what the file says of itself, too; its bytes are read once.

    Raises:
        InputError: The photo cannot be used.
    """
    image = read_once(image, limits.bytes) if provenance else image
    decoded = decode(image, min_size, limits)
    name, said = describe(image), _provenance(image, limits) if provenance else None
    try:
        pixels = preprocess(decoded.picture, steps, decoded.box)
        return ModelInput(pixels, Findings(_warnings(decoded, steps), decoded.missing, decoded.quality, said))
    except MemoryError as error:
        raise ImageMemoryError(name) from error
    except Exception as error:  # whatever a photo makes the steps raise is the end of that photo, not of a batch
        raise ImageDecodeError(f"{name}: cannot be brought to the model's size ({error}); resize it first") from error


def _provenance(image: ImageInput, limits: Limits) -> Provenance:
    from .provenance import read  # not for others: start-up counts

    return read(image, limits)


def _warnings(decoded: DecodedImage, steps: Sequence[Step]) -> tuple[PhotoWarning, ...]:
    found = {*decoded.warnings, *((PhotoWarning.UPSCALED,) if is_enlarged(decoded.full_size, steps) else ())}
    return tuple(warning for warning in PhotoWarning if warning in found)

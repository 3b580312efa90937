"""What a `Classifier` does to a photo before its model sees it: here, or in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .errors import InputError
from .images import EncodedImage, ImageInput, describe, read_once
from .model_input import ModelInput, model_input
from .preprocess import min_decode_size
from .signals import signal_warnings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .isolation import IsolatedDecoder
    from .limits import Limits
    from .manifest import Manifest
    from .steps import Step


class InputPipeline:
    """The way of a photo to the model's input; safe to share between threads.

    Args:
        manifest: Manifest of the model.
        limits: The most that one photo may take.
        isolate: Whether encoded photos are decoded in processes of their own.
    """

    def __init__(self, manifest: Manifest, limits: Limits, *, isolate: bool) -> None:
        self._steps, self._min_size = manifest.steps, min_decode_size(manifest)
        self._limits = limits
        self._rules = manifest.reasons.rules if manifest.reasons else None
        self._decoder = _isolated_decoder(limits) if isolate else None

    def model_input(self, image: ImageInput, *, whole: bool = False, provenance: bool = False) -> ModelInput:
        """Decode a photo and bring it to the model's size, or leave it whole; read what its file says, if asked for.

        Raises:
            InputError: The photo cannot be used.
        """
        steps, min_size = ((), None) if whole else (self._steps, self._min_size)
        made = self._made(image, steps, min_size, provenance=provenance)
        found = () if whole else signal_warnings(made.pixels, made.findings.quality, self._rules)
        return replace(made, findings=made.findings.with_warnings(found)) if found else made

    def model_input_or_error(self, image: ImageInput, *, provenance: bool = False) -> ModelInput | InputError:
        """Do what `model_input` does, and return the error of a photo that cannot be used, whatever it raises."""
        try:
            return self.model_input(image, provenance=provenance)
        except InputError as error:
            return error
        except Exception as error:  # noqa: BLE001 a caller's object may raise anything, and memory run out: this photo's
            problem = InputError(f"{describe(image)}: cannot be used ({error or type(error).__name__}); leave it out")
            problem.__cause__ = error
            return problem

    def with_whole_photo(self, image: ImageInput) -> tuple[ModelInput, NDArray[np.uint8]]:
        """Return the model's input and the whole photo, uint8 RGB `[H, W, 3]`; a path or a file is read once.

        Raises:
            InputError: The photo cannot be used.
        """
        source = read_once(image, self._limits.bytes)
        return self.model_input(source), self.model_input(source, whole=True).pixels

    def _made(
        self, image: ImageInput, steps: Sequence[Step], min_size: tuple[int, int] | None, *, provenance: bool
    ) -> ModelInput:
        if self._decoder:
            image = read_once(image, self._limits.bytes)
            if isinstance(image, EncodedImage):
                return self._decoder.model_input(image, steps, min_size, provenance=provenance)
        return model_input(image, steps, min_size, self._limits, provenance=provenance)

    def close(self) -> None:
        """End the processes that decode."""
        if self._decoder:
            self._decoder.close()


def _isolated_decoder(limits: Limits) -> IsolatedDecoder:
    from .isolation import IsolatedDecoder  # not for others: start-up counts

    return IsolatedDecoder(limits)

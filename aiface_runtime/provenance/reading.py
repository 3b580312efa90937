"""From a photo to what its file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..images import EncodedImage, describe, read_once
from ..limits import DEFAULT_LIMITS, Limits
from .results import Credentials, CredentialState, Provenance

if TYPE_CHECKING:
    from ..images import ImageInput


def read(image: ImageInput, limits: Limits = DEFAULT_LIMITS) -> Provenance:
    """Read what a photo's file says of it; the network is never asked, and no pixel is decoded.

    Args:
        image: Anything that `Classifier.predict` takes. Pixels in memory have no file, and say nothing.
        limits: The most that the photo may take.

    Raises:
        InputError: The photo cannot be read.
    """
    name, source = describe(image), read_once(image, limits.bytes)
    if not isinstance(source, EncodedImage):
        reason = "pixels in memory have no file that could say anything"
        return Provenance(name, Credentials(CredentialState.NOT_CHECKED, reason=reason))
    return Provenance(name, Credentials(CredentialState.NOT_CHECKED, reason="not implemented"))

"""What decoding one photo may cost."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .errors import UsageError


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one photo may take; beyond it, it is refused before it is decoded.

    Attributes:
        bytes: Size of the encoded photo.
        pixels: Pixels to be decoded, width times height.
        scaled_pixels: Pixels of a JPEG that may be decoded at a half, a quarter or an eighth of its size; those
            that are decoded then count towards `pixels`.
        memory: Bytes that decoding takes at its highest, the encoded photo among them, as estimated from the header.
        seconds: Time for one photo, of a decoder in a process of its own; elsewhere nothing can interrupt it.
    """

    bytes: int = 64 * 2**20
    pixels: int = 30_000_000
    scaled_pixels: int = 200_000_000
    memory: int = 192 * 2**20
    seconds: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (whole or (field.name == "seconds" and isinstance(value, float))) or not value > 0:
                raise UsageError(f"Limits({field.name}={value!r}): a number above 0")


DEFAULT_LIMITS = Limits()

"""Whether a picture's colours are wider than sRGB. Sources: ICC.1:2022, sections 7.2 and 9.2; ITU-T H.273, table 2."""

from __future__ import annotations

import struct

_WIDE_PRIMARIES = frozenset((9, 10, 11, 12))  # BT.2020, XYZ, DCI-P3, Display P3
_SRGB_AREA = 0.1121  # of the triangle of its primaries in xy
_WIDER = 1.1  # profiles of sRGB differ by rounding, and by how they adapt the white


def is_wide_gamut(icc: bytes, primaries: int | None) -> bool:
    """Say whether a profile's red, green and blue span more than sRGB's do.

    Args:
        icc: ICC profile, empty where there is none; one without such primaries spans no more.
        primaries: Primaries by their number in H.273, None where the file does not say.
    """
    if primaries in _WIDE_PRIMARIES:
        return True
    try:
        red, green, blue = (_chromaticity(icc, name) for name in (b"rXYZ", b"gXYZ", b"bXYZ"))
    except (struct.error, ZeroDivisionError, LookupError):
        return False
    area = abs((green[0] - red[0]) * (blue[1] - red[1]) - (blue[0] - red[0]) * (green[1] - red[1])) / 2
    return area > _WIDER * _SRGB_AREA


def _chromaticity(icc: bytes, name: bytes) -> tuple[float, float]:
    (count,) = struct.unpack_from(">I", icc, 128)
    for entry in range(132, 132 + 12 * min(count, 100), 12):
        if icc[entry : entry + 4] == name:
            (offset,) = struct.unpack_from(">I", icc, entry + 4)
            x, y, z = struct.unpack_from(">3i", icc, offset + 8)
            return x / (x + y + z), y / (x + y + z)
    raise LookupError(name)

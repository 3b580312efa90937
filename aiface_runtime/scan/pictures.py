"""What a report shows of each photo: a small picture of what the model saw, and its evidence map."""

from __future__ import annotations

import base64
import heapq
import io
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .lines import LineFile, lines_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 112  # pixels of the longer side
_QUALITY = 50  # of JPEG
_MIN_PEAK = 1.0  # logits that the largest value of a map stands for at least, as in `Explanation.overlay`


def picture_of(pixels: NDArray[np.uint8], evidence: NDArray[np.float32] | None) -> bytes:
    """Return a JPEG and the map in base64, with a space between; the map is empty where there is none.

    Args:
        pixels: uint8 RGB `[H, W, 3]`.
        evidence: float32 `[h, w]` in logits; of each cell the map has a signed byte, in 127ths of the largest
            contribution, at least 1 logit.
    """
    image, file = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2)
    image.save(file, "JPEG", quality=_QUALITY)
    return base64.b64encode(file.getvalue()) + b" " + base64.b64encode(_bytes_of(evidence))


def _bytes_of(evidence: NDArray[np.float32] | None) -> bytes:
    if evidence is None:
        return b""
    peak = max(_MIN_PEAK, float(np.abs(evidence).max()))
    return bytes(np.rint(evidence * (127 / peak)).astype(np.int8))


class Pictures:
    """The pictures of the most suspicious photos of a scan, in a file that later scans go on with.

    Args:
        path: The file, which is made where there is none; each line is the SHA-256 of a photo and its picture.
        count: Number of photos that a report will show; a picture that cannot be among them is not kept.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._lines, self._count = LineFile(path), count
        self._highest: list[float] = []

    def note(self, p_ai: float) -> bool:
        """Take note of an answer, and say whether it is among the most suspicious up to now."""
        if len(self._highest) < self._count:
            heapq.heappush(self._highest, p_ai)
            return True
        return p_ai > heapq.heappushpop(self._highest, p_ai)

    def add(self, sha256: str, picture: bytes) -> None:
        """Keep a picture.

        Raises:
            OutputError: It cannot be written.
        """
        self._lines.append(b"%s %s\n" % (sha256.encode(), picture))

    def find(self, wanted: Container[str]) -> dict[str, int]:
        """Return where the pictures of some photos begin, by SHA-256."""
        starts = ((line[:64].decode("ascii", "replace"), start) for start, line in lines_of(self._lines.path))
        return {sha256: start for sha256, start in starts if sha256 in wanted}

    def at(self, start: int) -> tuple[str, str]:
        """Return the JPEG and the map of a picture that begins there, in base64."""
        _, picture, evidence = self._lines.at(start).decode().rstrip("\n").split(" ")
        return picture, evidence

    def close(self) -> None:
        """Write everything to the disk."""
        self._lines.close()

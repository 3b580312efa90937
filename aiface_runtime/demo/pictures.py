"""The photo and its maps as pictures for the page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..explanation import Explanation

_MAX_SIDE = 640  # pixels, of a picture on the page
_DARKEST = 0.25  # brightness of what is no face, of the photo's own


def data_url(data: bytes, media_type: str) -> str:
    """Return bytes as an address that holds them, so that nothing is kept on the server to be fetched."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def picture_url(picture: Image.Image) -> str:
    """Return a picture at the size of the page, as the address of a JPEG."""
    picture = picture.copy()
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return data_url(file.getvalue(), "image/jpeg")


def photo_url(photo: NDArray[np.uint8]) -> str:
    """Return a photo, uint8 RGB `[H, W, 3]`, as the address of a JPEG."""
    return picture_url(Image.fromarray(photo))


def face_overlay(explanation: Explanation, faces: NDArray[np.float32]) -> Image.Image:
    """Draw the face map over the photo: what is no face is dark, what the model does not see is left out.

    Args:
        explanation: Photo and the region of it that the map lies on.
        faces: float32 `[h, w]`, how likely a face lies in each cell, 0 to 1.
    """
    left, top, right, bottom = (round(edge) for edge in explanation.region)
    seen = Image.fromarray(explanation.photo[top : max(bottom, top + 1), left : max(right, left + 1)])
    seen.thumbnail((_MAX_SIDE, _MAX_SIDE))
    likely = np.asarray(Image.fromarray(faces).resize(seen.size, Image.Resampling.BILINEAR)).clip(0, 1)[..., None]
    return Image.fromarray(np.rint(np.asarray(seen) * (_DARKEST + (1 - _DARKEST) * likely)).astype(np.uint8))

"""What a face map says of a photo: how likely there is a face, and what to warn of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .prediction import PhotoWarning

# Of the largest group. On 300 val photos of one face the large model's 14 x 14 cells give several groups in 17 %, at
# this share in 0.3 %, and in 48 % of group photos (before: 65 %); the bundled 7 x 7 in 3.3 and 0.3 %, 45 % (49 %).
# By a script that is not in this repository; `aiface-evaluate faces` measures the like (docs/model/faces.md).
_OTHER_FACE = 0.25

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .manifest import FaceMap


def face_answer(
    faces: NDArray[np.float32] | None, thresholds: FaceMap | None
) -> tuple[float | None, tuple[PhotoWarning, ...]]:
    """Judge the face map of one photo.

    A face is a group of covered cells that touch by a side or a corner. One that is likely enough but covers no cell
    counts as small. Groups much smaller than the largest are no faces of their own: they are parts of it or background.

    Args:
        faces: float32 `[h, w]`, how likely a face lies in each cell, 0 to 1; None of a model that does not say.
        thresholds: Size and thresholds of the map; None of such a model.

    Returns:
        How likely there is a face, 0 to 1, None where the model does not say; and `no_face`, or any of the others.
    """
    if faces is None or thresholds is None:
        return None, ()
    probability = float(faces.max())
    if not probability >= thresholds.present_from:  # so that NaN is no face
        return probability, (PhotoWarning.NO_FACE,)
    sizes = _group_sizes(faces >= thresholds.cell_from)
    largest, warnings = max(sizes, default=0), []
    if largest < thresholds.small_below * faces.size:
        warnings.append(PhotoWarning.SMALL_FACE)
    if sum(size >= _OTHER_FACE * largest for size in sizes) > 1:
        warnings.append(PhotoWarning.SEVERAL_FACES)
    return probability, tuple(warnings)


def _group_sizes(covered: NDArray[np.bool_]) -> list[int]:
    """Count the cells of each group in bool `[h, w]`; they are the bits of one integer, so that all move at once."""
    height, width = covered.shape
    stride = width + 1  # an empty column, so that the end of a row does not touch the start of the next
    cells = np.zeros((height, stride), dtype=bool)
    cells[:, :width] = covered
    rest, sizes = int.from_bytes(np.packbits(cells).tobytes()), []
    while rest:
        group, before = rest & -rest, 0
        while group != before:
            before = group
            group |= group << 1 | group >> 1
            group = (group | group << stride | group >> stride) & rest
        rest ^= group
        sizes.append(group.bit_count())
    return sizes

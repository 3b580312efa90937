"""Why an answer is as it is: what each cell of a grid over the photo contributes.

The evidence is a class activation map (Zhou et al., "Learning Deep Features for Discriminative Localization", 2016).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .errors import UsageError
from .notebook import picture_html
from .prediction import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .images import Box
    from .prediction import Prediction

# Vermillion and blue of Okabe & Ito, "Color Universal Design", 2008: told apart with every kind of colour vision.
_AI, _REAL = np.array([[213, 94, 0], [0, 114, 178]], dtype=np.float32)
_MAX_SIDE = 2048  # pixels of an overlay's longer side
_MIN_PEAK = 1.0  # logits that a full colour stands for at least: little evidence is shown with little colour
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow converts


class ExplanationRecord(Record):
    """An answer's record with the evidence by row and cell, the bias, and left, top, right and bottom of the region."""

    evidence: list[list[float]]
    bias: float
    region: list[float]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """An answer and where in the photo it comes from.

    The map is exact for what the network sums up, and coarse: a cell's features depend on a wide area around it. It
    says what the model reacted to, not what was done to the photo.

    Attributes:
        prediction: Answer for the photo, equal to that of `predict`.
        evidence: float32 `[h, w]`, what each cell contributes to the log-odds of AI, in logits: positive counts towards
            AI, negative for real. Its mean and `bias` make the log-odds of the answer.
        bias: Log-odds of AI that do not depend on the photo, in logits.
        region: The part of the photo that the model sees and the map lies on: left, top, right and bottom in pixels of
            `photo`.
        photo: uint8 RGB `[H, W, 3]`, whole and upright.
        faces: float32 `[h, w]`, how likely a face lies in each cell over the region, 0 to 1; None of a model that does
            not say.
    """

    prediction: Prediction
    evidence: NDArray[np.float32]
    bias: float
    region: Box
    photo: NDArray[np.uint8] = field(repr=False)
    faces: NDArray[np.float32] | None = field(default=None, repr=False)

    def overlay(self, alpha: float = 0.65) -> Image.Image:
        """Draw the evidence over the photo in colour: orange counts towards AI, blue towards real.

        The visible region turns grey, so that colours are evidence; outside it nothing is touched. A full colour
        stands for the largest contribution of either sign, at least 1 logit.

        Args:
            alpha: Opacity of a full colour, 0 to 1.

        Returns:
            RGB at the photo's own size, or scaled down to a longer side of 2048 pixels.

        Raises:
            UsageError: `alpha` is out of range.
        """
        if not 0 <= alpha <= 1:
            raise UsageError(f"alpha {alpha}: 0 to 1")
        picture = Image.fromarray(self.photo)
        scale = min(1.0, _MAX_SIDE / max(picture.size))
        if scale < 1:
            picture = picture.resize((_scaled(picture.width, scale), _scaled(picture.height, scale)))
        left, top, right, bottom = (round(edge * scale) for edge in self.region)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        seen = np.asarray(picture.crop((left, top, right, bottom)))
        picture.paste(Image.fromarray(_tint(seen, self.evidence, alpha)), (left, top))
        return picture

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the answer, and the overlay scaled down."""
        picture = picture_html(self.overlay(), "The photo in grey: what counts towards AI is orange, towards real blue")
        note = "<small>orange counts towards AI, blue towards real</small>"
        return f'{self.prediction._repr_html_()}<div style="margin-top:.5em">{picture}<br>{note}</div>'

    def to_record(self) -> ExplanationRecord:
        """Return the prediction's record with `evidence`, `bias` and `region`, which JSON takes."""
        return {
            **self.prediction.to_record(),
            "evidence": [[round(float(value), 4) for value in row] for row in self.evidence],
            "bias": self.bias,
            "region": list(self.region),
        }


def _scaled(side: int, scale: float) -> int:
    return max(1, round(side * scale))


def _tint(pixels: NDArray[np.uint8], evidence: NDArray[np.float32], alpha: float) -> NDArray[np.uint8]:
    """Turn uint8 RGB `[H, W, 3]` grey and lay the colours of a map over it, which is stretched to its size."""
    height, width, _ = pixels.shape
    peak = max(_MIN_PEAK, float(np.abs(evidence).max()))
    smooth = Image.fromarray(evidence / np.float32(peak)).resize((width, height), Image.Resampling.BICUBIC)
    strength = np.asarray(smooth).clip(-1, 1)[..., None]  # bicubic overshoots
    opacity = alpha * np.abs(strength)
    grey = (pixels @ _GREY)[..., None]
    tinted: NDArray[np.uint8] = np.rint(grey + opacity * (np.where(strength > 0, _AI, _REAL) - grey)).astype(np.uint8)
    return tinted

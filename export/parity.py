"""Proof that the written file gives the original's answers, on real photos, through the runtime itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiface_runtime import Classifier
from aiface_runtime.errors import InputError
from aiface_runtime.images import PHOTO_SUFFIXES, ImageInput, load_rgb

from .errors import ParityError, SourceError
from .source import Source

TOLERANCE = 1e-3  # on each probability


@dataclass(frozen=True)
class Parity:
    """How far the file's answers are from the original's.

    Attributes:
        reference: What the original computed with.
        images: Photos compared.
        max_difference: Largest difference of any probability.
        mean_difference: Mean over photos and labels.
        agreement: Share of photos with the same likeliest label, 0 to 1.
    """

    reference: str
    images: int
    max_difference: float
    mean_difference: float
    agreement: float

    def to_json(self, photos: str) -> dict[str, Any]:
        """As the manifest keeps it; `photos` says what was compared."""
        return {
            "reference": self.reference,
            "photos": photos,
            "images": self.images,
            "max_difference": self.max_difference,
            "mean_difference": self.mean_difference,
            "label_agreement": self.agreement,
            "tolerance": TOLERANCE,
        }


def proof_photos(folder: Path | None, limit: int = 64) -> tuple[str, Sequence[ImageInput]]:
    """Real photos to compare on, and what they are.

    Args:
        folder: The user's photos, searched recursively, `limit` of them evenly spread; None for cuts of the portrait
            that matplotlib ships.
        limit: Most photos to compare.

    Raises:
        SourceError: The folder has no photo that can be read, or matplotlib is missing.
    """
    if folder is None:
        return "cuts of matplotlib's sample portrait", _portrait_cuts()
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file())
    chosen = paths[:: max(1, -(-len(paths) // limit))]
    if not chosen:
        raise SourceError(f"{folder}: no photos to prove parity on; pass a folder of them with --images")
    for path in chosen:  # now, not after minutes of conversion
        try:
            load_rgb(path)
        except InputError as error:
            raise SourceError(f"parity photos: {error}") from error
    return f"{len(chosen)} of the {len(paths)} photos in {folder.name}/", chosen


def _portrait_cuts() -> list[NDArray[np.uint8]]:
    """The portrait at several framings, shapes and sizes, so that crops and both ways of scaling are exercised."""
    spec = util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise SourceError("no photos to prove parity on: pass a folder with --images, or install matplotlib")
    portrait = Image.fromarray(load_rgb(Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"))
    cuts = []
    for left, top, right, bottom in ((0, 0, 1, 1), (0.2, 0, 0.8, 0.5), (0, 0.3, 1, 0.7), (0.4, 0.1, 0.6, 0.9)):
        width, height = portrait.size
        cut = portrait.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))
        cuts += [
            cut.resize((round(cut.width * scale), round(cut.height * scale)), Image.Resampling.LANCZOS)
            for scale in (0.31, 1.0, 1.7)
        ]
        cuts.append(cut.transpose(Image.Transpose.ROTATE_90))
    return [np.asarray(cut) for cut in cuts]


def compare(source: Source, file: Path, photos: Sequence[ImageInput]) -> Parity:
    """Compare the file, through the runtime, with the original on the same photos."""
    expected = source.probabilities(photos)
    with Classifier(file, device="cpu") as classifier:
        answers = classifier.predict_many(photos, batch_size=7, on_error="raise")  # a batch size nobody exported for
        actual = np.array([list(answer.scores.values()) for answer in answers])
    difference = np.abs(actual - expected)
    agreement = (actual.argmax(1) == expected.argmax(1)).mean()
    return Parity(source.reference, len(photos), float(difference.max()), float(difference.mean()), float(agreement))


def check(parity: Parity, name: str) -> None:
    """Hold a comparison to the contract.

    Raises:
        ParityError: A probability differs by more than `TOLERANCE`, or a label differs.
    """
    # not (… <= …) so that NaN fails too
    if not (parity.max_difference <= TOLERANCE and parity.agreement == 1.0):
        raise ParityError(
            f"{name}: the converted graph does not give the original's answers on {parity.images} photos: largest "
            f"difference {parity.max_difference:.2g} (at most {TOLERANCE:g}), labels equal {parity.agreement:.1%}; "
            "nothing was written"
        )

"""The real photos of an export: those that answers are compared on, and others to calibrate an int8 variant on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiface_evaluation.dataset import read_samples
from aiface_evaluation.errors import DataError
from aiface_runtime.errors import InputError
from aiface_runtime.images import PHOTO_SUFFIXES, ImageInput, load_rgb

from ..errors import SourceError


@dataclass(frozen=True, kw_only=True)
class Photos:
    """Photos of one place.

    Attributes:
        held_out: To compare answers on.
        are: What these are, for the record.
        calibrating: Others, to fit an int8 variant's ranges on.
        targets: int `[held_out]`, 1 for AI; None where labels are not known.
        unlabelled: Why they are not known; empty where they are.
    """

    held_out: Sequence[ImageInput]
    are: str
    calibrating: Sequence[Path] = ()
    targets: NDArray[np.int_] | None = None
    unlabelled: str = ""


def read_photos(place: Path | None, held_out: int = 64, calibrating: int = 0) -> Photos:
    """Choose photos, the same ones each time.

    Where the place has splits, photos of train calibrate and the others are held out; elsewhere at most a third
    calibrates.

    Args:
        place: What `read_samples` takes, or any folder of photos, searched recursively; None for cuts of the portrait
            that matplotlib ships.
        held_out: Most photos to hold out.
        calibrating: Most photos to calibrate on.

    Raises:
        DataError: The place is no folder and no manifest that can be read.
        SourceError: It has no photo that can be read, or matplotlib is missing.
    """
    if place is None:
        return Photos(
            held_out=_portrait_cuts(), are="cuts of matplotlib's sample portrait", unlabelled="no --images were given"
        )
    paths, targets, in_train, unlabelled = _find(place)
    order = np.random.default_rng(0).permutation(len(paths))
    if 0 < in_train.sum() < len(paths):
        fitting, proving = order[in_train[order]][:calibrating], order[~in_train[order]]
    else:
        share = min(calibrating, len(paths) // 3)
        fitting, proving = order[:share], order[share:]
    proving = np.sort(proving[:held_out])
    _check([paths[n] for n in (*fitting, *proving)])
    if targets is not None and len(set(targets[proving])) < 2:
        targets, unlabelled = None, "the held-out photos are all of one label"
    return Photos(
        held_out=[paths[n] for n in proving],
        are=f"{len(proving)} of the {len(paths)} photos in {place.resolve().name}",
        calibrating=[paths[n] for n in fitting],
        targets=None if targets is None else targets[proving],
        unlabelled=unlabelled,
    )


def _find(place: Path) -> tuple[list[Path], NDArray[np.int_] | None, NDArray[np.bool_], str]:
    """Paths, targets where they are known, which are of the train split, and why there are no targets."""
    try:
        samples = read_samples(place)
    except DataError as error:
        if not place.is_dir():
            raise
        paths = sorted(path for path in place.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file())
        if not paths:
            raise SourceError(f"{place}: no photos to prove parity on; pass a folder of them with --images") from error
        return paths, None, np.zeros(len(paths), dtype=bool), str(error)
    targets = np.array([sample.target for sample in samples])
    in_train = np.array([sample.split == "train" for sample in samples])
    return [sample.path for sample in samples], targets, in_train, ""


def _check(paths: Sequence[Path]) -> None:
    """Now, not after minutes of conversion."""
    for path in paths:
        try:
            load_rgb(path)
        except InputError as error:
            raise SourceError(f"--images: {error}") from error


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

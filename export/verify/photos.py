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
from aiface_evaluation.errors import NotLabelledError
from aiface_runtime.errors import InputError
from aiface_runtime.images import PHOTO_SUFFIXES, ImageInput, load_rgb

from ..errors import SourceError


@dataclass(frozen=True, kw_only=True)
class Photos:
    """Held-out photos of one folder, and others to calibrate on.

    Attributes:
        held_out: Photos to compare answers on.
        description: Description of the held-out photos, for the record.
        calibrating: Other photos, to fit an int8 variant's ranges on.
        targets: int `[held_out]`, 1 for AI; None where labels are not known.
        unlabelled_reason: Reason why labels are not known; empty where they are.
    """

    held_out: Sequence[ImageInput]
    description: str
    calibrating: Sequence[Path] = ()
    targets: NDArray[np.int_] | None = None
    unlabelled_reason: str = ""


@dataclass(frozen=True)
class _Listing:
    """The photos of a folder.

    Attributes:
        paths: N files.
        targets: int `[N]`, 1 for AI; None where labels are not known.
        in_train: bool `[N]`, whether of the train split.
        unlabelled_reason: Reason why labels are not known; empty where they are.
    """

    paths: list[Path]
    targets: NDArray[np.int_] | None
    in_train: NDArray[np.bool_]
    unlabelled_reason: str = ""


def read_photos(path: Path | None, held_out: int = 64, calibrating: int = 0) -> Photos:
    """Choose photos, the same ones each time.

    Where the folder has splits, photos of train calibrate and the others are held out; elsewhere at most a third
    calibrates.

    Args:
        path: Photos as `read_samples` takes them, or any folder of them, searched recursively; None for crops of the
            portrait that matplotlib ships.
        held_out: Largest number of photos to hold out.
        calibrating: Largest number of photos to calibrate on.

    Raises:
        DataError: The path is no folder and no manifest that can be read.
        SourceError: The path has no photo that can be read, or matplotlib is missing.
    """
    if path is None:
        return Photos(
            held_out=_portrait_crops(),
            description="cuts of matplotlib's sample portrait",
            unlabelled_reason="no --images were given",
        )
    listing = _list_photos(path)
    fit_on, prove_on = _divide(listing.in_train, held_out, calibrating)
    paths, targets, reason = listing.paths, listing.targets, listing.unlabelled_reason
    _check_readable([paths[index] for index in (*fit_on, *prove_on)])
    if targets is not None and len(set(targets[prove_on])) < 2:
        targets, reason = None, "the held-out photos are all of one label"
    return Photos(
        held_out=[paths[index] for index in prove_on],
        description=f"{len(prove_on)} of the {len(paths)} photos in {path.resolve().name}",
        calibrating=[paths[index] for index in fit_on],
        targets=None if targets is None else targets[prove_on],
        unlabelled_reason=reason,
    )


def _divide(in_train: NDArray[np.bool_], held_out: int, calibrating: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Give the indices of the photos to calibrate on and of those to hold out."""
    order = np.random.default_rng(0).permutation(len(in_train))
    if 0 < in_train.sum() < len(in_train):
        fit_on, prove_on = order[in_train[order]][:calibrating], order[~in_train[order]]
    else:
        count = min(calibrating, len(in_train) // 3)
        fit_on, prove_on = order[:count], order[count:]
    return fit_on, np.sort(prove_on[:held_out])


def _list_photos(path: Path) -> _Listing:
    try:
        samples = read_samples(path)
    except NotLabelledError as error:
        if not path.is_dir():
            raise
        paths = sorted(file for file in path.rglob("*") if file.suffix.lower() in PHOTO_SUFFIXES and file.is_file())
        if not paths:
            raise SourceError(f"{path}: no photos to prove parity on; pass a folder of them with --images") from error
        return _Listing(paths, None, np.zeros(len(paths), dtype=bool), str(error))
    targets = np.array([sample.target for sample in samples])
    in_train = np.array([sample.split == "train" for sample in samples])
    return _Listing([sample.path for sample in samples], targets, in_train)


def _check_readable(paths: Sequence[Path]) -> None:
    """Decode each photo now, not after minutes of conversion."""
    for path in paths:
        try:
            load_rgb(path)
        except InputError as error:
            raise SourceError(f"--images: {error}") from error


def _portrait_crops() -> list[NDArray[np.uint8]]:
    """Cut the portrait at several framings, shapes and sizes, so that crops and both ways of scaling are exercised."""
    spec = util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise SourceError("no photos to prove parity on: pass a folder with --images, or install matplotlib")
    portrait = Image.fromarray(load_rgb(Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"))
    crops = []
    for left, top, right, bottom in ((0, 0, 1, 1), (0.2, 0, 0.8, 0.5), (0, 0.3, 1, 0.7), (0.4, 0.1, 0.6, 0.9)):
        width, height = portrait.size
        crop = portrait.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))
        crops += [
            crop.resize((round(crop.width * scale), round(crop.height * scale)), Image.Resampling.LANCZOS)
            for scale in (0.31, 1.0, 1.7)
        ]
        crops.append(crop.transpose(Image.Transpose.ROTATE_90))
    return [np.asarray(crop) for crop in crops]

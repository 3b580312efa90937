"""A checkpoint with a face head → the same, its face head fitted.

Only the head learns: a linear discriminant of the features of cells that a face covers and of cells without one.
Pictures without a face are few, and shrinking the covariance keeps what is learned of them from being theirs alone.
The network's answers stay what they were.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.utils.data import DataLoader, Dataset

from aiface_evaluation.dataset import Sample, read_samples
from aiface_evaluation.errors import DataError
from aiface_evaluation.halves import half_of
from aiface_evaluation.types import Progress
from aiface_export.checkpoint_record import CheckpointRecord, FaceThresholds
from aiface_export.networks import OwnNetwork
from aiface_runtime.images import PHOTO_SUFFIXES

from ..checkpoint import from_checkpoint, has_bfloat16
from ..pixels import normaliser
from .pictures import Boxes, Cuts, Example, Mosaics, Picture, Wholes, draw_cuts, read_boxes

_PER_SOURCE = 20  # train photos; of each source all look alike
_PHOTO_CUTS, _EMPTY_CUTS = 1, 24  # random cuts of a photo, and of a picture without a face
_EVERY = 3  # of these val photos one is used to scale the head
_MOSAICS = 600  # pictures of several photos, since else all faces are large and alone
_FACE_FROM, _EMPTY_TO = 0.6, 0.05  # share of a cell that a face covers; cells between the two are left out
_CELLS = 8000  # of a kind, of cuts of a kind
_SHRINKAGE = 0.5
_BATCH = 64
_LOST = 0.006  # share of val photos whose face may be missed
_CELL_FROM = 0.5
_SMALL_BELOW = 0.03  # of the input's cells: a face less than about a sixth as wide as what the network sees


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """Features `[cuts, features, h, w]` float16 of cuts, and the share of each cell that is covered `[cuts, h, w]`."""

    features: torch.Tensor
    covered: torch.Tensor


def fit_face_head(
    checkpoint: Path,
    data: Path,
    output: Path,
    progress: Progress,
    *,
    boxes: Path,
    no_face: Path,
    command: str = "",
) -> FaceThresholds:
    """Fit on train photos and half of the pictures without a face; choose the thresholds on val photos.

    Args:
        checkpoint: Folder of a network with a face head.
        data: Path that `read_samples` accepts, with train and val photos.
        output: The folder to write.
        progress: Wraps an iterable to show how far it is.
        boxes: Boxes of the faces, as `read_boxes` takes them, by paths relative to it.
        no_face: Folder of pictures without a face; those that `half_of` calls held are left out.
        command: Command line that the user typed, for the record.

    Returns:
        The thresholds.

    Raises:
        DataError: The checkpoint has no face head, or the pictures cannot be used.
    """
    network, processor = from_checkpoint(checkpoint)
    if not isinstance(network, OwnNetwork) or network.face_head is None:
        raise DataError(f"{checkpoint}: its network has no face head")
    faces = read_boxes(boxes)
    samples = read_samples(data)
    photos = _photos([sample for sample in samples if sample.split == "train"], faces, boxes.parent)
    val = _photos([sample for sample in samples if sample.split == "val"], faces, boxes.parent, per_source=None)
    empty = [Picture(path, np.empty((0, 4))) for path in _half(no_face)]
    if not (photos and val and empty):
        raise DataError(f"{data}, {no_face}: photos with a box in train and val and pictures without a face are needed")
    view = _Viewer(network, normaliser(processor), processor.crop_size["height"], progress)
    rng = np.random.default_rng(0)
    shown = [
        Cuts(photos, draw_cuts(photos, _PHOTO_CUTS, rng), view.size, view.grid),
        Mosaics(photos, _MOSAICS, view.size, view.grid),
        Cuts(empty, draw_cuts(empty, _EMPTY_CUTS, rng), view.size, view.grid),
        Cuts(val, draw_cuts(val, 0, rng)[::_EVERY], view.size, view.grid),
    ]
    *parts, unseen = (view.cells(each) for each in shown)
    _set(face_head(network), _scaled(_discriminant(parts, rng), [unseen, parts[-1]], rng))
    present = view.probabilities(Wholes(val, view.size))
    thresholds = FaceThresholds(
        present_from=round(float(np.quantile(present, _LOST)), 4),
        cell_from=_CELL_FROM,
        small_below=_SMALL_BELOW,
        fitted_on=f"{len(photos)} train photos and {len(empty)} pictures without a face; present_from on {len(val)} "
        f"val photos, of which it loses {_LOST:.1%}",
    )
    shutil.copytree(checkpoint, output, dirs_exist_ok=True)  # with what else lies there, adapters for instance
    network.save_pretrained(output)
    record = CheckpointRecord.read(checkpoint)
    training = {**record.training, "commands": [*record.training.get("commands", []), command]}
    replace(record, training=training, faces=thresholds).write(output)
    return thresholds


def _photos(
    samples: Sequence[Sample], faces: dict[str, Boxes], root: Path, per_source: int | None = _PER_SOURCE
) -> list[Picture]:
    """Take photos that have boxes, at most so many of a source."""
    by_source: dict[str, list[Picture]] = {}
    for sample in samples:
        name = sample.path.relative_to(root).as_posix() if sample.path.is_relative_to(root) else sample.path.name
        if name in faces:
            by_source.setdefault(sample.source, []).append(Picture(sample.path, faces[name]))
    return [picture for pictures in by_source.values() for picture in pictures[:per_source]]


def _half(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    return [file for file in files if half_of(file.name) == "fitted"]


class _Viewer:
    """Shows cuts to a network.

    Args:
        network: The network.
        normalise: Turns uint8 pixels into its input.
        size: Side of its input, in pixels.
        progress: Wraps an iterable to show how far it is.
    """

    def __init__(
        self,
        network: OwnNetwork,
        normalise: Callable[[torch.Tensor], torch.Tensor],
        size: int,
        progress: Progress,
    ) -> None:
        network.train(False)
        self._network, self._normalise, self.size, self._progress = network, normalise, size, progress
        with torch.inference_mode():
            self.grid = network.cells(torch.zeros(1, 3, size, size)).shape[-1]

    def cells(self, cuts: Dataset[Example]) -> _Cells:
        """Return what the face head sees of cuts, and what it is to say."""
        features, shares = [], []
        for pixels, covered in self._progress(DataLoader(cuts, batch_size=_BATCH, num_workers=1)):
            features.append(self._features(pixels).half())
            shares.append(covered)
        return _Cells(features=torch.cat(features), covered=torch.cat(shares))

    def probabilities(self, pictures: Wholes) -> NDArray[np.float32]:
        """Return the probability of the likeliest cell of each picture, `[pictures]`, in float32 as in use."""
        largest = []
        for pixels in self._progress(DataLoader(pictures, batch_size=_BATCH, num_workers=1)):
            with torch.inference_mode():
                faces = self._network(self._normalise(pixels)).face_logits
                largest.append(faces.sigmoid().amax(dim=(1, 2)))
        probabilities: NDArray[np.float32] = torch.cat(largest).numpy()
        return probabilities

    def _features(self, pixels: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            cells: torch.Tensor = self._network.cells(self._normalise(pixels))
        return cells.float()


def face_head(network: OwnNetwork) -> nn.Conv2d:
    """Return the face head of a network that has one."""
    if network.face_head is None:
        raise ValueError("the network has no face head")
    return network.face_head


class _Linear(NamedTuple):
    """A linear function of a cell's features: `weight · features + constant`."""

    weight: NDArray[np.float64]
    constant: float


def _discriminant(parts: Sequence[_Cells], rng: np.random.Generator) -> _Linear:
    """Return the linear discriminant of cells that a face covers and of cells without one."""
    features, faces = _draw(parts, rng)
    deviation = features.std(axis=0).clip(1e-3)
    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=_SHRINKAGE, priors=[0.5, 0.5])
    fitted.fit(features / deviation, faces)
    return _Linear(fitted.coef_[0] / deviation, float(fitted.intercept_[0]))


def _scaled(linear: _Linear, parts: Sequence[_Cells], rng: np.random.Generator) -> _Linear:
    """Scale and shift a discriminant to the logit of the chance that a face covers a cell (Platt scaling).

    Its own scale is too large for photos that it was not fitted on.
    """
    features, faces = _draw(parts, rng)
    margins = features @ linear.weight + linear.constant
    fitted = LogisticRegression(class_weight="balanced").fit(margins[:, None], faces)
    slope = float(fitted.coef_[0, 0])
    return _Linear(slope * linear.weight, slope * linear.constant + float(fitted.intercept_[0]))


def _set(head: nn.Conv2d, linear: _Linear) -> None:
    weight = torch.from_numpy(linear.weight).reshape(1, -1, 1, 1)
    head.load_state_dict({"weight": weight, "bias": torch.tensor([linear.constant])})


def _draw(parts: Sequence[_Cells], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Draw cells of each part, `[N, features]`, that a face covers or that have none, and say which they are, `[N]`."""
    features, faces = [], []
    for part in parts:
        for has_face in (True, False):
            cells = torch.nonzero(part.covered >= _FACE_FROM if has_face else part.covered <= _EMPTY_TO)
            picture, row, column = cells[rng.permutation(len(cells))[:_CELLS]].T
            features.append(part.features[picture, :, row, column].float().numpy())
            faces.append(np.full(len(picture), has_face))
    return np.concatenate(features), np.concatenate(faces)

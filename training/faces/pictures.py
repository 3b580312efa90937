"""What a face head learns from: cuts of pictures, and which of their cells a face covers.

Photos with a known face give whole views, random cuts, many of which show no more than the background, and mosaics with
several small faces; pictures without a face give further cuts of nothing.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from aiface_evaluation.errors import DataError
from aiface_runtime.images import load_rgb
from aiface_runtime.preprocess import preprocess

from ..data.views import whole_steps

_MIN_SIDE = 0.35  # of a random cut, in shorter sides of the picture
_COLUMNS = ("path", "left", "top", "width", "height")

Boxes: TypeAlias = NDArray[np.float64]  # left, top, right, bottom in pixels, one a row


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and its faces.

    Attributes:
        path: The file.
        boxes: float64 `[faces, 4]`.
    """

    path: Path
    boxes: Boxes


class Cut(NamedTuple):
    """A square of a picture.

    Attributes:
        picture: Index of the picture.
        side: Side in shorter sides of the picture, 0 to 1.
        across: Position in what is left and right of the square, 0 to 1.
        down: Position in what is above and below it, 0 to 1.
        mirrored: Whether it is mirrored.
    """

    picture: int
    side: float = 1.0
    across: float = 0.5
    down: float = 0.5
    mirrored: bool = False


class Example(NamedTuple):
    """A cut as the network sees it.

    Attributes:
        pixels: uint8 RGB `[size, size, 3]`.
        covered: float32 `[grid, grid]`, share of each cell that a face covers; 1 where a face has its middle.
    """

    pixels: NDArray[np.uint8]
    covered: NDArray[np.float32]


def read_boxes(file: Path) -> dict[str, Boxes]:
    """Read face boxes by the path of their photo: CSV with `path`, `left`, `top`, `width` and `height`, in pixels.

    Raises:
        DataError: The file cannot be read, lacks a column or has something else than numbers.
    """
    boxes: defaultdict[str, list[list[float]]] = defaultdict(list)
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            for row in csv.DictReader(opened):
                left, top, width, height = (float(row[name]) for name in _COLUMNS[1:])
                boxes[row["path"]].append([left, top, left + width, top + height])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{file}: not face boxes with the columns {', '.join(_COLUMNS)} ({error!r})") from error
    return {path: np.array(rows) for path, rows in boxes.items()}


def draw_cuts(pictures: Sequence[Picture], random_cuts: int, rng: np.random.Generator) -> list[Cut]:
    """Draw the cuts of each picture: the whole of it, and random ones."""
    cuts = [Cut(index) for index in range(len(pictures))]
    for index in range(len(pictures)):
        for _ in range(random_cuts):
            across, down = rng.random(2).tolist()
            cuts.append(Cut(index, float(rng.uniform(_MIN_SIDE, 1.0)), across, down, bool(rng.random() < 0.5)))
    return cuts


class Cuts(Dataset[Example]):
    """Cuts of pictures.

    Args:
        pictures: The pictures.
        cuts: The cuts.
        size: Side of the network's input, in pixels.
        grid: Number of cells a side.
    """

    def __init__(self, pictures: Sequence[Picture], cuts: Sequence[Cut], size: int, grid: int) -> None:
        self._pictures, self._cuts, self._size, self._grid = pictures, cuts, size, grid

    def __len__(self) -> int:
        return len(self._cuts)

    def __getitem__(self, index: int) -> Example:
        cut = self._cuts[index]
        picture = self._pictures[cut.picture]
        photo = Image.fromarray(load_rgb(picture.path))
        side = cut.side * min(photo.size)
        left, top = cut.across * (photo.width - side), cut.down * (photo.height - side)
        box = (left, top, left + side, top + side)
        pixels = np.asarray(photo.resize((self._size, self._size), Image.Resampling.BICUBIC, box))
        shares = coverage((picture.boxes - [left, top, left, top]) * (self._grid / side), self._grid)
        if cut.mirrored:
            pixels, shares = pixels[:, ::-1], shares[:, ::-1]
        return Example(np.array(pixels), np.array(shares))  # copies, which are writable and contiguous


class Mosaics(Dataset[Example]):
    """Squares of several pictures side by side, two or three in each direction, the same at every run.

    Args:
        pictures: The pictures.
        count: Number of mosaics.
        size: Side of the network's input, in pixels.
        grid: Number of cells a side.
    """

    def __init__(self, pictures: Sequence[Picture], count: int, size: int, grid: int) -> None:
        self._pictures, self._count, self._size, self._grid = pictures, count, size, grid

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng([1, index])
        edges = np.linspace(0, self._size, int(rng.integers(2, 4)) + 1).astype(int).tolist()
        canvas, boxes = Image.new("RGB", (self._size, self._size)), [np.empty((0, 4))]
        for top, bottom in pairwise(edges):
            for left, right in pairwise(edges):
                picture = self._pictures[int(rng.integers(len(self._pictures)))]
                boxes.append(_paste(picture, canvas, (left, top, right, bottom)))
        shares = coverage(np.concatenate(boxes) * (self._grid / self._size), self._grid)
        return Example(np.array(canvas), shares)


def _paste(picture: Picture, canvas: Image.Image, area: tuple[int, int, int, int]) -> Boxes:
    """Paste the central square of a picture, and return its faces in pixels of the canvas."""
    left, top, right, bottom = area
    photo = Image.fromarray(load_rgb(picture.path))
    side = min(photo.size)
    x, y = (photo.width - side) / 2, (photo.height - side) / 2
    square = photo.resize((right - left, bottom - top), Image.Resampling.BICUBIC, (x, y, x + side, y + side))
    canvas.paste(square, (left, top))
    boxes = np.clip(picture.boxes - [x, y, x, y], 0, side)
    placed: Boxes = boxes * ((right - left) / side) + [left, top, left, top]
    return placed


class Wholes(Dataset[NDArray[np.uint8]]):
    """Pictures as a model in use sees them, uint8 RGB `[size, size, 3]`.

    Args:
        pictures: The pictures.
        size: Side of the network's input, in pixels.
    """

    def __init__(self, pictures: Sequence[Picture], size: int) -> None:
        self._pictures, self._steps = pictures, whole_steps(size)

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.array(preprocess(load_rgb(self._pictures[index].path), self._steps))


def coverage(boxes: Boxes, grid: int) -> NDArray[np.float32]:
    """Return the largest share of each cell that one of the boxes covers, and 1 where a box has its middle.

    Args:
        boxes: `[faces, 4]`, in cells.
        grid: Number of cells a side.
    """
    shares = np.zeros((grid, grid), dtype=np.float32)
    starts = np.arange(grid)
    for left, top, right, bottom in boxes:
        across = np.clip(np.minimum(right, starts + 1) - np.maximum(left, starts), 0, 1)
        down = np.clip(np.minimum(bottom, starts + 1) - np.maximum(top, starts), 0, 1)
        shares = np.maximum(shares, np.outer(down, across).astype(np.float32))
        column, row = int((left + right) // 2), int((top + bottom) // 2)
        if 0 <= column < grid and 0 <= row < grid:
            shares[row, column] = 1.0
    return shares

"""Pictures without a face or with several, and the faces of labelled photos, as CSV files list them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..dataset import Sample
from ..errors import DataError
from ..halves import Half, half_of

_SETS = ("noface", "group")


class Picture(NamedTuple):
    """A picture that is not a portrait of one person.

    Attributes:
        path: The file.
        group: Whether it shows several people; else it shows no face.
        kind: Kind of picture, `statue` for instance.
    """

    path: Path
    group: bool
    kind: str


def read_pictures(folder: Path, half: Half | None) -> list[Picture]:
    """Read the `manifest.csv` of a folder, with columns `path` (relative to it), `set` (`noface`, `group`) and `kind`.

    Args:
        folder: Folder of the manifest.
        half: Half of the pictures to take, by the hash of their names; None for all.

    Raises:
        DataError: There is no such manifest, a row is of another set, a file is missing, or no picture is of `noface`.
    """
    manifest = folder / "manifest.csv"
    rows = [row for row in _rows(manifest, {"path", "set", "kind"}) if half in (None, half_of(row["path"]))]
    if other := {row["set"] for row in rows} - set(_SETS):
        raise DataError(f"{manifest}: set {sorted(other)[0]!r} is none of {', '.join(_SETS)}")
    if not any(row["set"] == "noface" for row in rows):
        raise DataError(f"{manifest}: lists no picture of the set noface")
    pictures = [Picture(folder / row["path"], row["set"] == "group", row["kind"]) for row in rows]
    if missing := [picture.path for picture in pictures if not picture.path.is_file()]:
        raise DataError(f"{missing[0]}: is listed but not there ({len(missing)} of {len(pictures)} are missing)")
    return pictures


def face_widths(samples: Sequence[Sample], photos: Path) -> dict[Path, float]:
    """Give the width of the largest face as a share of the photo's width, 0 to 1, by path.

    Args:
        samples: Labelled photos.
        photos: Their folder or manifest, beside which `faces.csv` lists faces: `path` (relative to it) and `width` in
            pixels, the largest face of a photo first.

    Returns:
        Shares of the listed photos; empty where there is no `faces.csv`.

    Raises:
        DataError: `faces.csv` cannot be read.
    """
    file = (photos if photos.is_dir() else photos.parent) / "faces.csv"
    if not file.is_file():
        return {}
    largest: dict[Path, float] = {}
    for row in _rows(file, {"path", "width"}):
        largest.setdefault(file.parent / row["path"], _pixels(row["width"], file))
    widths = {sample.path: _width(sample.path) for sample in samples if sample.path in largest}
    return {path: min(largest[path] / width, 1.0) for path, width in widths.items() if width}


def _rows(file: Path, columns: set[str]) -> list[dict[str, str]]:
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            table = csv.DictReader(opened, restval="")
            if missing := columns - set(table.fieldnames or ()):
                raise DataError(f"{file}: lacks the column(s) {', '.join(sorted(missing))}")
            return list(table)
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; it lists the pictures") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not a CSV file in UTF-8 ({error})") from error


def _pixels(text: str, file: Path) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{file}: width {text!r} is no number") from error


def _width(path: Path) -> int | None:
    """Read a photo's width; None where it is no photo, which whoever decodes it will say."""
    try:
        with Image.open(path) as photo:
            return photo.width
    except OSError:
        return None

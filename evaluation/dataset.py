"""Labelled photos: where they lie, what they are, and which split they belong to."""

from __future__ import annotations

import codecs
import csv
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiface_runtime.images import PHOTO_SUFFIXES

from .errors import DataError, NotLabelledError
from .names import LABELS, SPLITS

__all__ = ["LABELS", "SPLITS", "Sample", "check_files", "read_samples"]

_FOLDER_LABELS = {"real": "real", "human": "real", "ai": "ai", "fake": "ai"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled photo.

    Attributes:
        path: The file.
        label: `real` or `ai`.
        source: Name of the collection that the photo came from; the unit of balanced sampling and of reporting.
        generator: Name of the generator of an AI photo; empty for a real photo or where it is not known.
        split: `train`, `val`, `test`, or empty where the data does not say.
        original: The real photo that a reconstruction was made of; None for every other photo.
        kind: Kind of an AI photo, `generated`, `edit` or `swap` for instance; empty for a real photo or
            where the data does not say.
        delivery: Name of the part of the data that the photo came with; empty where the data has no parts.
    """

    path: Path
    label: str
    source: str
    generator: str = ""
    split: str = ""
    original: Path | None = None
    kind: str = ""
    delivery: str = ""

    @property
    def target(self) -> int:
        """Give the index of the label in `LABELS`."""
        return LABELS.index(self.label)


def read_samples(data: Path) -> list[Sample]:
    """Read a manifest (CSV), a folder that has a `manifest.csv`, or folders named after the labels.

    A manifest has columns `path` (relative to itself) and `label`, and may have `split`, `source`, `generator`, `kind`,
    `delivery` and `original` (the real photo that a reconstruction was made of, relative to the manifest too); other
    columns do not matter. In a plain folder the nearest parent named real, human, ai or fake is the label, one named
    train, val or test the split.

    Raises:
        NotLabelledError: There are no labelled photos in the folder, or its manifest is about something else.
        DataError: There is nothing usable at `data`; the message says what was expected.
    """
    manifest = data / "manifest.csv" if data.is_dir() else data
    if data.is_file():
        _refuse_others(data)
    if manifest.is_file():
        samples = _from_manifest(manifest)
    elif data.is_dir():
        samples = list(_from_folders(data))
    else:
        raise DataError(f"{data}: no such folder or manifest")
    if not samples:
        raise NotLabelledError(f"{data}: no labelled photos; expected a manifest.csv or folders named real/ and ai/")
    return samples


def _from_manifest(manifest: Path) -> list[Sample]:
    try:
        text = _text(manifest.read_bytes())
        rows = csv.DictReader(io.StringIO(text, newline=""), restval="", delimiter=_delimiter(text))
        if missing := {"path", "label"} - set(rows.fieldnames or ()):
            raise NotLabelledError(f"{manifest}: lacks the column(s) {', '.join(sorted(missing))}")
        return [_from_row(manifest, row, rows.line_num) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{manifest}: not a CSV file in UTF-8 ({error}); save it as CSV UTF-8") from error


def _refuse_others(file: Path) -> None:
    """Refuse a file that is no manifest by what it is, before it is read as one."""
    if file.suffix.lower() in PHOTO_SUFFIXES:
        raise DataError(f"{file}: is a photo; give the folder that it is in, or a manifest.csv")
    if zipfile.is_zipfile(file) or tarfile.is_tarfile(file):
        raise DataError(f"{file}: is an archive; unpack it and give the folder")


def _text(data: bytes) -> str:
    """Decode a manifest as spreadsheets write it: UTF-8 or UTF-16 with a byte order mark, UTF-8, or Windows' cp1252.

    A name that cp1252 reads wrong is that of no file, which `check_files` finds.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def _delimiter(text: str) -> str:
    """Return what separates the columns: spreadsheets write semicolons where the comma is for decimals."""
    first = next(iter(text.splitlines()), "")
    return max(",;\t", key=first.count)


def _from_row(manifest: Path, row: Mapping[str, str], line: int) -> Sample:
    label, split = _FOLDER_LABELS.get(row["label"].strip().lower()), row.get("split", "")
    if not row["path"]:
        raise DataError(f"{manifest}:{line}: names no file in its column path")
    if label is None:
        raise DataError(f"{manifest}:{line}: label {row['label']!r} is neither real nor ai")
    if split not in ("", *SPLITS):
        raise DataError(f"{manifest}:{line}: split {split!r} is none of {', '.join(SPLITS)}")
    original = manifest.parent / row["original"] if row.get("original") else None
    source, generator = row.get("source") or label, row.get("generator", "")
    kind = row.get("kind", "") if label == "ai" else ""
    return Sample(
        manifest.parent / row["path"], label, source, generator, split, original, kind, row.get("delivery", "")
    )


def _from_folders(root: Path) -> Iterator[Sample]:
    for path in sorted(root.rglob("*")):
        folders = [part.lower() for part in path.relative_to(root).parts[:-1]]
        label = next((_FOLDER_LABELS[part] for part in reversed(folders) if part in _FOLDER_LABELS), None)
        if label and path.suffix.lower() in PHOTO_SUFFIXES and path.is_file():
            split = next((part for part in folders if part in SPLITS), "")
            yield Sample(path, label, source=label, split=split)


def check_files(samples: Sequence[Sample]) -> None:
    """Find out before hours of work that photos are missing.

    Raises:
        DataError: Some listed photo is not there.
    """
    missing = [sample.path for sample in samples if not sample.path.is_file()]
    if missing:
        raise DataError(f"{missing[0]}: is listed but not there ({len(missing)} of {len(samples)} photos are missing)")


def choose_sources(samples: Sequence[Sample], sources: Sequence[str], photos: Path) -> list[Sample]:
    """Take the photos of some sources.

    Raises:
        DataError: No photo has a source that is asked for.
    """
    if missing := set(sources) - {sample.source for sample in samples}:
        raise DataError(f"{photos}: has no source {', '.join(sorted(missing))}; its column source names those it has")
    return [sample for sample in samples if sample.source in sources]


def choose_splits(samples: Sequence[Sample], splits: Sequence[str], photos: Path) -> list[Sample]:
    """Take the photos of some splits; all where the data has no splits.

    Raises:
        DataError: There are no samples, one label is missing, or a file is not there.
    """
    present = sorted({sample.split for sample in samples} - {""})
    chosen = [sample for sample in samples if not present or sample.split in splits]
    if not chosen:
        raise DataError(f"{photos}: has no photos of the split {' or '.join(splits)}, only of {', '.join(present)}")
    if missing := set(LABELS) - {sample.label for sample in chosen}:
        raise DataError(f"{photos}: has no photos labelled {' or '.join(missing)}; photos of both labels are needed")
    check_files(chosen)
    return chosen

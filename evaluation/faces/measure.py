"""How often a model warns of no face, a small face or several, of pictures whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from aiface_runtime import Classifier
from aiface_runtime.errors import InputError
from aiface_runtime.prediction import Failure, Prediction

from ..dataset import Sample
from ..errors import DataError
from ..halves import Half
from ..metrics import share_interval
from ..names import ALL
from ..records.faces import FaceReport, WarningRates
from ..records.headline import Estimate
from ..types import Progress
from .pictures import Picture

LOOKALIKES = ("doll or mannequin", "statue", "drawing of a face")  # kinds that show a face, but no person's photo
PHOTO_WARNINGS = ("no_face", "small_face", "several_faces")
Warnings: TypeAlias = tuple[str, ...]
_SIZES = {"below 10 %": 0.1, "10 to 20 %": 0.2, "20 to 30 %": 0.3, "30 to 50 %": 0.5, "50 % or more": 2.0}


def measure_faces(
    model: str,
    pictures: Sequence[Picture],
    samples: Sequence[Sample],
    face_widths: Mapping[Path, float],
    progress: Progress,
    *,
    half: Half | None = None,
    command: str = "",
    on_undecodable: Callable[[InputError], None],
) -> FaceReport:
    """Measure a model's warnings on pictures as they are.

    Args:
        model: An `.onnx` file or a bundled name.
        pictures: Pictures without a face, and of groups.
        samples: Labelled photos, which show one face.
        face_widths: Width of the largest face of a photo as a share of the photo's, by path, where it is known.
        progress: Wraps an iterable to show how far it is.
        half: Half that `pictures` are of, for the record.
        command: Command line that the user typed, for the record.
        on_undecodable: Called with the error of each picture that cannot be decoded, which is then left out.

    Raises:
        DataError: The model has no face map.
        AifaceError: The model cannot be used.
    """
    paths = [*(picture.path for picture in pictures), *(sample.path for sample in samples)]
    with Classifier(model) as classifier:
        name = classifier.manifest.id
        if not classifier.manifest.document.get("faces"):
            raise DataError(f"{name}: has no face map and cannot say whether there is a face; take a model with one")
        answers = list(classifier.predict_many(progress(paths)))
    warnings = dict(_answered(zip(paths, answers, strict=True), on_undecodable))
    splits = {sample.split or ALL for sample in samples}
    of_split = {split: [sample for sample in samples if (sample.split or ALL) == split] for split in sorted(splits)}
    return FaceReport(
        model=name,
        command=command,
        half=half or "",
        noface=_rates(warnings, [(_resemblance(p), p.path) for p in pictures if not p.group], total=True),
        noface_kinds=_rates(warnings, [(p.kind, p.path) for p in pictures if not p.group]),
        groups=_rates(warnings, [(p.kind, p.path) for p in pictures if p.group], total=True),
        photos={
            split: _rates(warnings, [(s.label, s.path) for s in of_split[split]], total=True) for split in of_split
        },
        sources={split: _missed(_rates(warnings, [(s.source, s.path) for s in of_split[split]])) for split in of_split},
        face_sizes=_rates(warnings, [(size, path) for size, path in _by_size(face_widths)]),
        left_out=len(paths) - len(warnings),
    )


def _answered(
    answers: Iterable[tuple[Path, Prediction | Failure]], on_undecodable: Callable[[InputError], None]
) -> Iterator[tuple[Path, Warnings]]:
    for path, answer in answers:
        if isinstance(answer, Prediction):
            yield path, answer.warnings  # which only a file with a face map has
        elif isinstance(answer.error, InputError):
            on_undecodable(answer.error)
        else:
            raise answer.error


def _resemblance(picture: Picture) -> str:
    return "dolls, statues, drawn faces" if picture.kind in LOOKALIKES else "all others"


def _by_size(face_widths: Mapping[Path, float]) -> list[tuple[str, Path]]:
    """Name the first size that a face is below, in the order of the sizes."""
    named = [
        (next(name for name, limit in _SIZES.items() if width < limit), path) for path, width in face_widths.items()
    ]
    return sorted(named, key=lambda pair: list(_SIZES).index(pair[0]))


def _missed(rates: Mapping[str, WarningRates]) -> dict[str, WarningRates]:
    return {name: rate for name, rate in rates.items() if rate.no_face.value}


def _rates(
    warnings: Mapping[Path, Warnings], pictures: Sequence[tuple[str, Path]], *, total: bool = False
) -> dict[str, WarningRates]:
    """Give the rates of named groups of pictures, of those that were answered; with `total`, of all together first."""
    groups: dict[str, list[Warnings]] = {ALL: []} if total else {}
    for name, path in pictures:
        if path in warnings:
            groups.setdefault(name, []).append(warnings[path])
            if total:
                groups[ALL].append(warnings[path])
    return {name: _rates_of(group) for name, group in groups.items() if group}


def _rates_of(group: Sequence[Warnings]) -> WarningRates:
    counts = {name: sum(name in warnings for warnings in group) for name in PHOTO_WARNINGS}
    shares = {
        name: Estimate(value=count / len(group), interval=share_interval(count, len(group)))
        for name, count in counts.items()
    }
    return WarningRates(n=len(group), **shares)

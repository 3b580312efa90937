"""What a model's face map was measured to find, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .headline import Estimate
from .json_record import JsonRecord


@dataclass(frozen=True, kw_only=True)
class WarningRates(JsonRecord):
    """Shares of some pictures that get each warning, with exact 95 % intervals.

    Attributes:
        n: Number of pictures, at least 1.
        no_face: Share without a face.
        small_face: Share with a small face only.
        several_faces: Share with several faces.
    """

    n: int
    no_face: Estimate
    small_face: Estimate
    several_faces: Estimate


@dataclass(frozen=True, kw_only=True)
class FaceReport(JsonRecord):
    """How a model's face map answers pictures without a face, groups, and labelled photos of one face.

    Attributes:
        model: Name of the model.
        command: Command line that measured it; empty for a call from Python.
        half: Half of the pictures without a face and of the groups that was measured; empty for all of them.
        noface: Rates of pictures without a face: `all`, and dolls, statues and drawn faces apart from all others.
        noface_kinds: The same by kind of picture.
        groups: Rates of pictures of several people: `all`, and by kind.
        photos: Rates of labelled photos, by split: `all`, and by label.
        sources: The same by split and source, of the sources of which some photo gets `no_face`.
        face_sizes: Rates of labelled photos by the width of their largest face as a share of the photo's; empty where
            the photos have no `faces.csv`.
        left_out: Number of pictures that could not be decoded, and count nowhere.
    """

    model: str
    command: str
    half: str
    noface: Mapping[str, WarningRates]
    noface_kinds: Mapping[str, WarningRates]
    groups: Mapping[str, WarningRates]
    photos: Mapping[str, Mapping[str, WarningRates]]
    sources: Mapping[str, Mapping[str, WarningRates]]
    face_sizes: Mapping[str, WarningRates] = field(default_factory=dict)
    left_out: int = 0

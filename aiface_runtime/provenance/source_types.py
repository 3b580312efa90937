"""IPTC's digital source types, retired ones too. Source: cv.iptc.org/newscodes/digitalsourcetype/."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .quoting import quoted
from .results import Claim, Finding

_G, _A, _E, _C, _N = Claim.GENERATED, Claim.EDITED_WITH_AI, Claim.EDITED, Claim.CAPTURED, Claim.CREATED

SOURCE_TYPES: Mapping[str, tuple[Claim, str]] = {
    "trainedAlgorithmicMedia": (_G, "made by a generative model"),
    "trainedAlgorithmicData": (_G, "made by a generative model"),  # of C2PA's own vocabulary
    "compositeWithTrainedAlgorithmicMedia": (_A, "edited with a generative model"),
    "compositeSynthetic": (_A, "put together of parts, of which a generative model made some"),
    "algorithmicallyEnhanced": (_E, "altered by an algorithm that is not generative"),
    "humanEdits": (_E, "edited by people with tools that are not generative"),
    "minorHumanEdits": (_E, "a photo with slight edits by people"),
    "composite": (_E, "put together of several parts"),
    "compositeCapture": (_E, "put together of several photos"),
    "digitalCapture": (_C, "taken by a digital camera"),
    "computationalCapture": (_C, "taken by a digital camera and computed from several frames"),
    "negativeFilm": (_C, "scanned from a negative"),
    "positiveFilm": (_C, "scanned from a slide"),
    "print": (_C, "scanned from a print"),
    "digitalCreation": (_N, "made by people with digital tools that are not generative"),
    "digitalArt": (_N, "made by people with digital tools"),
    "softwareImage": (_N, "made by software"),
    "dataDrivenMedia": (_N, "drawn from data"),
    "algorithmicMedia": (_N, "made by an algorithm that was not trained on pictures"),
    "screenCapture": (_N, "captured from a screen"),
    "virtualRecording": (_N, "recorded from a virtual event"),
}
_BY_LOWER = {name.lower(): entry for name, entry in SOURCE_TYPES.items()}
_SCHEMA_ORG = "DigitalSource"  # its terms: https://schema.org/TrainedAlgorithmicMediaDigitalSource
_LAST = re.compile(r"[/:#]")
_EMPTY = "empty"  # of C2PA: nothing is on it yet


def finding_of(value: str, where: str, subject: str = "The file says that the picture was") -> Finding | None:
    """Return what a digital source type says; None of an empty one.

    Args:
        value: URI, qualified code or bare name of a term, in any case.
        where: Location of it in the file.
        subject: Start of the statement.
    """
    term = _LAST.split(value.strip().rstrip("/"))[-1].removesuffix(_SCHEMA_ORG).lower()
    if term in ("", _EMPTY):
        return None
    claim, meaning = _BY_LOWER.get(term, (Claim.OTHER, "of a digital source type that this version does not know"))
    return Finding(claim, f"{subject} {meaning}", quoted(value), where)

"""From a photo to what its file says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageFile

from ..errors import ImageDecodeError, ImageMemoryError, UsageError
from ..images import EncodedImage, describe, read_once
from ..images.formats import reader_of
from ..images.header import LimitError, UnknownFormatError
from ..images.sources import lock_of, one_line, read_encoded
from ..limits import DEFAULT_LIMITS, Limits
from . import exif, generators, iptc, xmp
from .containers import MAX_BYTES, Block, Kind, blocks_of
from .credentials import read_credentials
from .results import Claim, Credentials, CredentialState, Finding, Provenance
from .xmp import RefusedError

if TYPE_CHECKING:
    from ..images import ImageInput

MAX_FINDINGS = 40
_ORDER = tuple(Claim)
_WATERMARKS = "SynthID and other watermarks in the pixels cannot be checked here."
_ABSENCE = (
    "Absence proves nothing: most sites and messengers, and every screenshot, leave a photo without credentials and "
    "metadata."
)
_UNSIGNED = "What is not signed can be forged, or copied from another file."
_SETTINGS = (
    "Generators also edit and enlarge photos; their name or settings alone do not say that they made the picture."
)
_SIGNED = {
    CredentialState.TRUSTED: "A trusted signature says who signed, not that what they say is true.",
    CredentialState.UNTRUSTED: "Anyone can make a certificate in any name and sign with it.",
}


def read(
    image: ImageInput, limits: Limits = DEFAULT_LIMITS, *, trust: str | os.PathLike[str] | None = None
) -> Provenance:
    """Read what a photo's file says of it; the network is never asked, and no pixel is decoded.

    Args:
        image: Anything that `Classifier.predict` takes. An array, or a picture in memory, has no file that could say
            anything.
        limits: The most that the photo may take; its `bytes` count.
        trust: File of certificates in PEM whose holders are trusted to sign, beside those on the C2PA Trust List.

    Raises:
        InputError: The photo cannot be read, or is in no format that is decoded.
        UsageError: `trust` cannot be read.
    """
    name, anchors = describe(image), _anchors(trust)
    data = _bytes_of(image, limits)
    if data is None:
        reason = "a picture in memory has no file that could say anything"
        return Provenance(name, Credentials(CredentialState.NOT_CHECKED, reason=reason), (), (_WATERMARKS, _ABSENCE))
    try:
        reader = reader_of(data)
    except UnknownFormatError as error:
        raise ImageDecodeError(
            f"{name}: not a picture in a format that is decoded; convert it to JPEG, PNG or WebP"
        ) from error
    try:
        return _provenance(name, data, reader, anchors)
    except MemoryError as error:
        raise ImageMemoryError(name) from error


def _anchors(trust: str | os.PathLike[str] | None) -> str | None:
    if trust is None:
        return None
    try:
        text = Path(trust).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise UsageError(f"trust {trust}: cannot be read ({error.strerror or error})") from error
    if "BEGIN CERTIFICATE" not in text:
        raise UsageError(f"trust {trust}: holds no certificate in PEM")
    return text


def _bytes_of(image: ImageInput, limits: Limits) -> bytes | None:
    """Return the encoded bytes, those of a picture's open file too; None where there are none."""
    if isinstance(image, ImageFile.ImageFile):
        with lock_of(getattr(image, "fp", None) or image):
            return _file_of(image, limits)
    source = read_once(image, limits.bytes)
    return source.data if isinstance(source, EncodedImage) else None


def _file_of(image: Image.Image, limits: Limits) -> bytes | None:
    file = getattr(image, "fp", None)
    if file is None or file.closed:
        return None
    position = file.tell()
    try:
        file.seek(0)
        return read_encoded(file, describe(image), limits.bytes)
    finally:
        file.seek(position)


def _provenance(name: str, data: bytes, reader: str, anchors: str | None) -> Provenance:
    found = _Metadata()
    found.read(blocks_of(data, reader))
    credentials, signed = read_credentials(data, reader, found.remote, anchors)
    unique = list(dict.fromkeys([*signed, *found.findings]))
    findings = sorted(unique, key=lambda finding: _ORDER.index(finding.claim))
    if len(findings) > MAX_FINDINGS:
        found.problems.append(f"Only {MAX_FINDINGS} of {len(findings)} findings are shown.")
    notes = (*found.problems, *_notes(credentials, findings, is_all_signed=len(signed) == len(unique)))
    return Provenance(name, credentials, tuple(findings[:MAX_FINDINGS]), notes)


def _notes(credentials: Credentials, findings: list[Finding], *, is_all_signed: bool) -> Iterator[str]:
    if credentials.state in _SIGNED:
        yield _SIGNED[credentials.state]
    if any(finding.claim in (Claim.GENERATOR, Claim.GENERATOR_SETTINGS) for finding in findings):
        yield _SETTINGS
    if not is_all_signed:
        yield _UNSIGNED
    yield _WATERMARKS
    yield _ABSENCE


class _Metadata:
    """What the blocks of metadata of a file say, and what kept from reading them."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.problems: list[str] = []
        self.remote: str | None = None

    def read(self, blocks: Iterator[Block]) -> None:
        """Read blocks up to the first that cannot be reached."""
        try:
            for block in blocks:
                self._read_block(block)
        except (RefusedError, LimitError) as error:
            self._problem(f"The file has {error}; the rest was not read.")
        except UnknownFormatError as error:
            self._problem(f"Its metadata were not read: {error or 'another format made of boxes'}.")
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 readers raise many builtins on damaged data
            self._problem(f"The file is damaged or cut short ({one_line(error)}); what lies behind was not read.")

    def _read_block(self, block: Block) -> None:
        if block.kind is Kind.TEXT:
            self.findings += generators.text_findings(block.keyword, block.data, block.where)
        elif block.kind is Kind.XMP:
            self._read_xmp(block)
        elif block.kind is Kind.PHOTOSHOP:
            self.findings += iptc.findings_of(iptc.iptc_of(block.data), "IPTC")
        elif block.kind is Kind.IPTC:
            self.findings += iptc.findings_of(block.data, "IPTC")
        else:
            self._read_exif(block)

    def _read_xmp(self, block: Block) -> None:
        properties, problem = xmp.read_properties(block.data)
        if problem:
            self._problem(f"Its XMP was not read to its end: {problem}.")
        self.remote = self.remote or xmp.remote_manifest(properties)
        self.findings += xmp.findings_of(properties, block.where)

    def _read_exif(self, block: Block) -> None:
        try:
            found = exif.read_exif(block.data, MAX_BYTES)
        except ValueError as error:
            self._problem(f"Its EXIF block cannot be read ({error}).")
            return
        self.findings += exif.findings_of(found, block.where)
        kinds = {exif.XMP: Kind.XMP, exif.IPTC: Kind.IPTC, exif.PHOTOSHOP: Kind.PHOTOSHOP}
        for tag, kind in kinds.items():
            if content := found.tags.get(tag):
                self._read_block(replace(block, kind=kind, data=content, where=kind.value.upper()))

    def _problem(self, text: str) -> None:
        if text not in self.problems and len(self.problems) < 8:
            self.problems.append(text)

"""IPTC-IIM, which Photoshop's resources hold. Source: IPTC-NAA IIM 4.2. It has no digital source type: XMP has."""

from __future__ import annotations

from collections.abc import Iterator

from . import generators
from .quoting import as_text
from .results import Finding

_PROGRAM, _CREDIT, _SOURCE, _CAPTION = 65, 110, 115, 120
_NAMES = {_PROGRAM: "2:65 program", _CREDIT: "2:110 credit", _SOURCE: "2:115 source", _CAPTION: "2:120 caption"}
_MAX_SETS = 10_000
_RESOURCE = 0x0404


def iptc_of(resources: bytes) -> bytes:
    """Return the IPTC block of Photoshop's resources; empty where there is none, or where they are damaged."""
    position = 0
    for _ in range(_MAX_SETS):
        if resources[position : position + 4] != b"8BIM":
            return b""
        number = int.from_bytes(resources[position + 4 : position + 6], "big")
        name = resources[position + 6] if position + 6 < len(resources) else 0
        start = position + 6 + (name + 2) // 2 * 2
        length = int.from_bytes(resources[start : start + 4], "big")
        if number == _RESOURCE:
            return resources[start + 4 : start + 4 + length]
        position = start + 4 + length + length % 2
    return b""


def findings_of(block: bytes, where: str) -> Iterator[Finding]:
    """Yield what an IPTC block says; of its credit line no name is quoted."""
    for number, content in _data_sets(block):
        name, text = f"{where} {_NAMES[number]}", as_text(content)
        if number == _PROGRAM:
            yield generators.program_finding(text, name)
        elif number == _CAPTION:
            found = generators.settings_finding(text, name) or generators.label_finding(text, name)
            yield from filter(None, [found])
        else:
            yield from filter(None, [generators.credit_finding(text, name)])


def _data_sets(block: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    for _ in range(_MAX_SETS):
        head = block[position : position + 5]
        length = int.from_bytes(head[3:5], "big")
        if len(head) < 5 or head[0] != 0x1C or length > 0x7FFF:  # longer ones hold previews
            return
        if head[1] == 2 and head[2] in _NAMES:
            yield head[2], block[position + 5 : position + 5 + length]
        position += 5 + length

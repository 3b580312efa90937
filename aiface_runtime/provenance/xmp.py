"""XMP packets: their properties, and what these say.

The parser is expat, as the standard library has it. It is safe here because a DTD is refused at its first character:
without one there are no entities to expand and none to fetch, and expat opens nothing by itself. What is left is
bounded: bytes by the reader of the container, elements and depth here; no tree is built.
Source: ISO 16684-1 (XMP), IPTC Photo Metadata Standard 2025.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from xml.parsers import expat

from . import generators
from .quoting import MAX_EVIDENCE, one_line, quoted
from .results import Claim, Finding
from .source_types import finding_of

_MAX_ELEMENTS = 20_000
_MAX_ATTRIBUTES = 20_000
_MAX_DEPTH = 64
_MAX_VALUE = 2**20  # characters
_STRUCTURE = frozenset(("alt", "bag", "seq", "li", "description", "rdf", "value", "xmpmeta"))
_AI_OF = {
    "aisystemused": "The file names the AI system that was used",
    "aisystemversionused": "The file names the version of the AI system that was used",
    "aipromptinformation": "The file holds the prompt that was given to an AI system",
}


class RefusedError(ValueError):
    """A packet that is not read to its end; the message says why."""


@dataclass(frozen=True, slots=True)
class Property:
    """A property of a packet: its name as the packet writes it, with a prefix, and its value."""

    name: str
    value: str

    @property
    def local(self) -> str:
        """The name without prefix, in lower case."""
        return self.name.rpartition(":")[2].lower()


class _Reader:
    """Collects properties while a packet is parsed."""

    def __init__(self) -> None:
        self.properties: list[Property] = []
        self._names: list[str] = []
        self._texts: list[list[str]] = []
        self._elements = self._length = self._attributes = 0

    def start(self, name: str, attributes: list[str]) -> None:
        self._elements += 1
        self._attributes += len(attributes) // 2
        if self._elements > _MAX_ELEMENTS or self._attributes > _MAX_ATTRIBUTES:
            raise RefusedError("more elements than are read")
        self._names.append(name)
        self._texts.append([])
        if len(self._names) > _MAX_DEPTH:
            raise RefusedError(f"more than {_MAX_DEPTH} elements in each other")
        for key, value in zip(attributes[::2], attributes[1::2], strict=True):
            local = key.rpartition(":")[2]
            if local == "resource":
                self._add(self._owner(), value)
            elif not key.startswith("xmlns") and local not in ("about", "parseType", "lang", "xmptk"):
                self._add(key, value)

    def text(self, text: str) -> None:
        self._length += len(text)
        if self._texts and self._length <= _MAX_VALUE:
            self._texts[-1].append(text)

    def end(self, _: str) -> None:
        text = "".join(self._texts.pop()).strip()
        if text:
            self._add(self._owner(), text)
        self._names.pop()

    def doctype(self, *_: object) -> None:
        raise RefusedError("a document type definition, which is refused")

    def _owner(self) -> str:
        """Return the property that the current element is a value of."""
        for name in reversed(self._names):
            prefix, _, local = name.rpartition(":")
            if prefix not in ("rdf", "x") or local.lower() not in _STRUCTURE:
                return name
        return ""

    def _add(self, name: str, value: str) -> None:
        if name:
            self.properties.append(Property(name, value[:_MAX_VALUE]))


def read_properties(packet: bytes) -> tuple[list[Property], str | None]:
    """Read the properties of a packet.

    Returns:
        Those up to the first thing that cannot be read, and what that is; None where all of it was read.
    """
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(_as_utf8(packet), True)
    except RefusedError as error:
        return reader.properties, str(error)
    except (expat.ExpatError, ValueError) as error:
        return reader.properties, f"it is no XML ({one_line(str(error), 80)})"
    return reader.properties, None


def _as_utf8(packet: bytes) -> bytes:
    """Return a packet in UTF-8, without what lies before its first and behind its last tag."""
    if packet[:2] in (b"\xff\xfe", b"\xfe\xff"):
        packet = packet.decode("utf-16", "replace").encode()
    elif packet[:1] == b"<" and packet[1:2] == b"\0":
        packet = packet.decode("utf-16-le", "replace").encode()
    elif packet[:2] == b"\0<":
        packet = packet.decode("utf-16-be", "replace").encode()
    else:
        packet = packet.decode("utf-8", "replace").encode()
    return packet[max(packet.find(b"<"), 0) : packet.rfind(b">") + 1]


def remote_manifest(properties: list[Property]) -> str | None:
    """Return where the file's Content Credentials lie, where that is not the file itself."""
    for item in properties:
        if item.local == "provenance" and item.value.lower().startswith(("http://", "https://")):
            return item.value
    return None


def findings_of(properties: list[Property], where: str) -> Iterator[Finding]:
    """Yield what the properties of a packet say.

    Args:
        properties: Properties of the packet.
        where: Location of the packet, `XMP` for one.
    """
    camera = {item.local: item.value for item in properties if item.local in ("make", "model")}
    if camera:
        names = f"{where} tiff:{', tiff:'.join(name.capitalize() for name in sorted(camera))}"
        yield camera_finding([camera.get("make", ""), camera.get("model", "")], names)
    for item in properties:
        if (found := _finding(item, f"{where} {one_line(item.name, 60)}")) is not None:
            yield found


def _finding(item: Property, where: str) -> Finding | None:
    reader = _READERS.get(item.local)
    if reader is None and item.local in _AI_OF:
        return Finding(Claim.GENERATOR, _AI_OF[item.local], quoted(item.value), where)
    return reader(item.value, where) if reader else None


def _agent(value: str, where: str) -> Finding | None:
    """Return a step of the editing history only where an image generator made it."""
    return generators.program_finding(value, where) if generators.generator_named(value) else None


def _description(value: str, where: str) -> Finding | None:
    return generators.settings_finding(value, where) or generators.label_finding(value, where)


_READERS: Mapping[str, Callable[[str, str], Finding | None]] = {
    "digitalsourcetype": finding_of,
    "creatortool": generators.program_finding,
    "software": generators.program_finding,
    "softwareagent": _agent,
    "credit": generators.credit_finding,
    "aigc": generators.named_aigc_finding,
    **dict.fromkeys(("usercomment", "parameters", "description", "imagedescription", "prompt", "title"), _description),
}


def camera_finding(names: list[str], where: str) -> Finding:
    """Return what make and model of a camera say; some generators write their own names there."""
    given = [name.strip() for name in names if name.strip()]
    if generators.generator_named(" ".join(given)):
        return generators.program_finding(" ".join(given), where)
    evidence = ", ".join(quoted(name, MAX_EVIDENCE // 2) for name in given)
    return Finding(Claim.CAMERA, "The file names this camera", evidence, where)

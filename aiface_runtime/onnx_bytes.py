"""What the bytes of an ONNX file say without the `onnx` package: its metadata, its hash, whether it needs other files.

The file is one protobuf message, `ModelProto`. Numbers of fields are those of onnx.proto
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), the encoding is that of
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

_VARINT, _BYTES = 0, 2  # wire types
_FIXED_SIZES = {1: 8, 5: 4}  # bytes, by wire type
_METADATA = 14  # of ModelProto
_KEY, _VALUE = 1, 2  # of StringStringEntryProto
_DATA_LOCATION, _EXTERNAL_DATA = 14, 13  # of TensorProto
_MAX_FIELDS = 10_000  # of ModelProto; files have about ten, and one for each function
_MAX_VARINT = 10  # bytes
_LOCATION = b"location"  # the key of external data; a message without it has none
_LARGE = 2**16  # bytes of a message from which on its parts are looked at before its numbers are searched
# Where tensors can lie: of each message the fields that lead to one, and what message these hold.
_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}


class _Field(NamedTuple):
    """A field of a message: its number, its wire type, and where it and its value begin and end."""

    number: int
    kind: int
    begin: int
    value: int
    end: int


def metadata(data: bytes, key: str) -> bytes | None:
    """Find a value of the metadata.

    Returns:
        The value, UTF-8 where the file is right; None where there is no such key.

    Raises:
        ValueError: Not an ONNX file, or the key is there more than once.
    """
    found = [value for name, value in _metadata(data) if name == key.encode()]
    if len(found) > 1:
        raise ValueError(f"has {key!r} more than once in its metadata")
    return found[0] if found else None


def content_sha256(data: bytes) -> str:
    """Hash all of the file but its metadata, which can therefore hold the hash.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: Not an ONNX file.
    """
    digest, view = hashlib.sha256(), memoryview(data)
    for field in _model_fields(data):
        if field.number != _METADATA:
            digest.update(view[field.begin : field.end])
    return digest.hexdigest()


def has_external_data(data: bytes) -> bool:
    """Say whether a tensor's numbers lie in another file, anywhere in the graph.

    Raises:
        ValueError: Not an ONNX file.
    """
    rest = [("model", 0, len(data))]
    while rest:
        message, begin, end = rest.pop()
        for field in _fields(data, begin, end):
            if message == "tensor" and _is_external(data, field):
                return True
            part = _PARTS[message].get(field.number) if field.kind == _BYTES else None
            if part and (field.end - field.value > _LARGE or data.find(_LOCATION, field.value, field.end) >= 0):
                rest.append((part, field.value, field.end))
    return False


def _is_external(data: bytes, field: _Field) -> bool:
    if field.number == _DATA_LOCATION and field.kind == _VARINT:
        return _varint(data, field.value, field.end)[0] != 0
    return field.number == _EXTERNAL_DATA


def _metadata(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    return (_entry(data, field) for field in _model_fields(data) if (field.number, field.kind) == (_METADATA, _BYTES))


def _entry(data: bytes, entry: _Field) -> tuple[bytes, bytes]:
    """Give key and value of an entry of the metadata."""
    values = {_KEY: b"", _VALUE: b""}
    for field in _fields(data, entry.value, entry.end):
        if field.number in values and field.kind == _BYTES:
            values[field.number] = data[field.value : field.end]
    return values[_KEY], values[_VALUE]


def _model_fields(data: bytes) -> Iterator[_Field]:
    for count, field in enumerate(_fields(data, 0, len(data))):
        if count >= _MAX_FIELDS:
            raise ValueError(f"has more than {_MAX_FIELDS:,} parts")
        yield field


def _fields(data: bytes, begin: int, end: int) -> Iterator[_Field]:
    while begin < end:
        tag, value = _varint(data, begin, end)
        kind, stop = tag & 7, -1
        if kind == _VARINT:
            _, stop = _varint(data, value, end)
        elif kind == _BYTES:
            length, value = _varint(data, value, end)
            stop = value + length
        elif kind in _FIXED_SIZES:
            stop = value + _FIXED_SIZES[kind]
        if not value <= stop <= end:
            raise ValueError("is not an ONNX file, or a damaged one")
        yield _Field(tag >> 3, kind, begin, value, stop)
        begin = stop


def _varint(data: bytes, begin: int, end: int) -> tuple[int, int]:
    """Return a number of variable length, and where it ends."""
    number = 0
    for place, byte in enumerate(data[begin : min(end, begin + _MAX_VARINT)]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, begin + place + 1
    raise ValueError("is not an ONNX file, or a damaged one")

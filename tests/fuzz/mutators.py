"""Mutations of bytes, of the fields that formats are made of, and of JSON."""

from __future__ import annotations

import copy
import json
import random
import struct
import zlib
from typing import Any

_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 254, 255, 256, 1000, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_LAYOUTS = (">H", "<H", ">I", "<I", ">B", ">Q", "<Q")
_JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, 1e308, 10**30, 4096, "", "x", "\x1b[2J\n", "a" * 300, "\ud800", "../x"),
    *([], [[]], {}, {"op": "resize"}, [1] * 2000, ["ai", "ai"], [{"op": "center_crop", "height": 224, "width": 224}]),
)


def mutated(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change a file by one to six mutations; the checksums of a PNG are mostly made right again."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        mutate = chance.choice((_flip, _number, _number, _number, _cut, _insert, _repeat, _splice, _truncate))
        mutate(changed, other, chance)
    is_png = changed.startswith(b"\x89PNG")
    return _with_checksums(bytes(changed)) if is_png and chance.random() < 0.8 else bytes(changed)


def _index(data: bytearray, chance: random.Random) -> int:
    """Choose an index: mostly where headers and directories are."""
    size = len(data) or 1
    near = chance.random()
    if near < 0.5:
        return chance.randrange(min(size, 220))
    return size - 1 - chance.randrange(min(size, 320)) if near < 0.7 else chance.randrange(size)


def _flip(data: bytearray, _: bytes, chance: random.Random) -> None:
    if data:
        data[_index(data, chance)] ^= 1 << chance.randrange(8)


def _number(data: bytearray, _: bytes, chance: random.Random) -> None:
    layout, index = chance.choice(_LAYOUTS), _index(data, chance)
    size = struct.calcsize(layout)
    data[index : index + size] = struct.pack(layout, chance.choice(_NUMBERS) % 256**size)


def _cut(data: bytearray, _: bytes, chance: random.Random) -> None:
    index = _index(data, chance)
    del data[index : index + chance.choice((1, 2, 4, 12, 64))]


def _insert(data: bytearray, _: bytes, chance: random.Random) -> None:
    index = _index(data, chance)
    data[index:index] = chance.choice((b"\0", b"\xff", b"\xff" * 40, bytes(40), chance.randbytes(8)))


def _repeat(data: bytearray, _: bytes, chance: random.Random) -> None:
    index = _index(data, chance)
    part = data[index : index + chance.choice((1, 4, 12, 100, 2000))]
    data[index:index] = part * chance.choice((1, 2, 30, 300))


def _splice(data: bytearray, other: bytes, chance: random.Random) -> None:
    index, start = _index(data, chance), chance.randrange(len(other))
    data[index : index + chance.choice((0, 8, 100))] = other[start : start + chance.choice((4, 50, 1000))]


def _truncate(data: bytearray, _: bytes, chance: random.Random) -> None:
    del data[chance.randrange(len(data) or 1) :]
    data += chance.choice((b"", b"", b"\xff\xd9", bytes(300), b";"))


def _with_checksums(data: bytes) -> bytes:
    """Make the checksum of each PNG chunk right, as far as the chunks can be followed."""
    changed, position = bytearray(data), 8
    while position + 12 <= len(changed):
        end = position + 8 + int.from_bytes(changed[position : position + 4], "big")
        if end + 4 > len(changed):
            break
        changed[end : end + 4] = zlib.crc32(changed[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(changed)


def mutated_json(text: str, chance: random.Random) -> str:
    """Change one to three values of a document: another value, none, or one more."""
    document = json.loads(text)
    for _ in range(chance.choice((1, 1, 2, 3))):
        parent = document
        while True:
            keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
            if not keys:
                break
            key = chance.choice(keys)
            if not (isinstance(parent[key], (dict, list)) and parent[key]) or chance.random() < 0.3:
                _change(parent, key, chance)
                break
            parent = parent[key]
    return json.dumps(document)


def _change(parent: Any, key: Any, chance: random.Random) -> None:
    act = chance.random()
    if act < 0.7:
        parent[key] = copy.deepcopy(chance.choice(_JUNK))
    elif act < 0.85:
        del parent[key]
    elif isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))
    else:
        parent[f"{key}\u202e"] = copy.deepcopy(parent[key])

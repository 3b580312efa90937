"""Frozen dataclasses as JSON and back, checked by their own type hints."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from ..errors import DataError


def json_key(name: str, *old: str) -> Mapping[str, str | tuple[str, ...]]:
    """Give the metadata of a field whose JSON key is not its own name, or was another one in earlier versions."""
    return {"key": name, "old": old}


class JsonRecord:
    """Base of frozen dataclasses whose fields are numbers, text, tuples, mappings or such records."""

    def to_json(self) -> dict[str, Any]:
        """Give the record as JSON takes it; fields that have their default are left out."""
        items = [(item, getattr(self, item.name)) for item in fields(self)]  # type: ignore[arg-type]
        return {_key(item): _plain(value) for item, value in items if not _is_default(item, value)}

    @classmethod
    def from_json(cls, values: Any, name: str = "evaluation") -> Self:
        """Read what `to_json` gives, of this version or an earlier one; unknown keys are left out.

        Args:
            values: The parsed JSON.
            name: Name of its file, for messages.

        Raises:
            DataError: `values` is not such a record.
        """
        try:
            record: Self = _read(cls, values, "")
        except _MismatchError as error:
            raise DataError(f"{name}: not of this version ({error}); make it again or remove it") from error
        return record


class _MismatchError(ValueError):
    """A value is not of the expected type."""


def _key(item: Field[Any]) -> str:
    return str(item.metadata.get("key", item.name))


def _is_default(item: Field[Any], value: Any) -> bool:
    return bool(value == (item.default if item.default_factory is MISSING else item.default_factory()))


def _plain(value: Any) -> Any:
    if isinstance(value, JsonRecord):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


def _read(kind: Any, value: Any, where: str) -> Any:
    """Check a JSON value against a type hint and convert it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _read_union(arguments, value, where)
    if origin is not None and issubclass(origin, Mapping):
        _expect(value, dict, where)
        return {name: _read(arguments[1], part, f"{where}.{name}") for name, part in value.items()}
    if origin is tuple:
        return _read_tuple(arguments, value, where)
    if is_dataclass(kind):
        return _read_record(kind, value, where)
    _expect(value, (int, float) if kind is float else kind, where)
    return kind(value)


def _read_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    *others, last = (kind for kind in kinds if kind is not NoneType)
    for kind in others:
        with suppress(_MismatchError):
            return _read(kind, value, where)
    return _read(last, value, where)


def _read_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _expect(value, list, where)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise _MismatchError(f"{_at(where)} has {len(value)} entries, not {len(kinds)}")
    return tuple(
        _read(kind, part, f"{where}.{index}") for index, (kind, part) in enumerate(zip(kinds, value, strict=True))
    )


def _read_record(kind: Any, value: Any, where: str) -> Any:
    _expect(value, dict, where)
    hints, arguments = get_type_hints(kind), {}
    for item in fields(kind):
        key = next((key for key in (_key(item), *item.metadata.get("old", ())) if key in value), None)
        if key is not None:
            arguments[item.name] = _read(hints[item.name], value[key], f"{where}.{key}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise _MismatchError(f"{_at(where)} lacks {_key(item)!r}")
    return kind(**arguments)


def _expect(value: Any, kind: Any, where: str) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _MismatchError(f"{_at(where)} is {type(value).__name__}")


def _at(where: str) -> str:
    return where.lstrip(".") or "it"

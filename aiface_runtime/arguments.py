"""Arguments of the public API, checked where they are passed: a mistake is one line, not an error far inside."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, TypeAlias

from .errors import UsageError
from .limits import Limits

if TYPE_CHECKING:
    from .devices import Device

Model: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview
"""A model's name, the path of its file, or the content of its file."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a `Classifier` was opened with, and what its pickle holds: `Classifier`'s arguments, by the same names."""

    model: Model | None
    device: Device
    providers: Sequence[str] | None
    threads: int | None
    operating_point: str
    sha256: str | None
    limits: Limits
    isolate: bool


def check_count(name: str, value: object, maximum: int) -> int:
    """Return a whole number from 1 to `maximum`; True and "3" are none, numpy's integers are.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) <= maximum:
        raise UsageError(f"{name} {value!r}: must be a whole number, at least 1 and at most {maximum:,}")
    return int(value)


def check_threads(threads: object) -> int | None:
    """Return a number of threads, of which more than the machine has cores help nobody; None for the default.

    Raises:
        UsageError: It is no number, or far too many.
    """
    return None if threads is None else check_count("threads", threads, max(64, os.cpu_count() or 1))


def check_arguments(
    model: object, device: object, providers: object, operating_point: object, *, limits: object, isolate: object
) -> None:
    """Hold the arguments of `Classifier` to their types; whether there is such a device is seen where it is opened.

    Raises:
        UsageError: One is of another type.
    """
    if model is not None and not isinstance(model, (str, os.PathLike, bytes, bytearray, memoryview)):
        raise UsageError(f"model {model!r}: must be a bundled model's name, or the path or content of an .onnx file")
    for name, value in (("device", device), ("operating_point", operating_point)):
        if not isinstance(value, str):
            raise UsageError(f"{name} {value!r}: must be a name in quotes")
    if isinstance(providers, (str, bytes)) or not isinstance(providers, Sequence | None):
        raise UsageError(f"providers {providers!r}: must be a list of names, ['CPUExecutionProvider'] for instance")
    if not all(isinstance(name, str) for name in providers or ()):
        raise UsageError(f"providers {providers!r}: must hold nothing but names, 'CPUExecutionProvider' for instance")
    if not isinstance(limits, Limits):
        raise UsageError(f"limits {limits!r}: must be a Limits, Limits(pixels=50_000_000) for instance")
    if not isinstance(isolate, bool):
        raise UsageError(f"isolate {isolate!r}: must be True or False")
    if isolate and getattr(sys, "frozen", False):  # its sys.executable is the program itself, which would start itself
        raise UsageError("isolate True: a frozen program has no Python to start; use isolate=False")

"""Errors are one tree, and survive a pickle: results with failures travel between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

from aiface_runtime import errors


def leaves(kind: type[errors.AifaceError]) -> list[type[errors.AifaceError]]:
    below = [leaf for child in kind.__subclasses__() for leaf in leaves(child)]
    return below or [kind]


ARGUMENTS: dict[type[Exception], tuple[object, ...]] = {
    errors.DeviceUnavailableError: ("cuda", "no NVIDIA driver is installed"),
    errors.ImageTimeoutError: ("photo.jpg", 10.0),
    errors.BackendNotInstalledError: (ImportError("No module named 'onnxruntime'"),),
}


@pytest.mark.parametrize("kind", [leaf for leaf in leaves(errors.AifaceError) if leaf.__module__ == errors.__name__])
def test_a_pickled_error_is_the_same(kind: type[errors.AifaceError]) -> None:
    error = kind(*ARGUMENTS.get(kind, ("photo.jpg",)))
    again = pickle.loads(pickle.dumps(copy.copy(pickle.loads(pickle.dumps(error)))))  # a message would double
    assert type(again) is kind
    assert (str(again), again.code) == (str(error), error.code)
    assert any(base.__module__ == "builtins" for base in kind.__mro__[: kind.__mro__.index(Exception)]), "a builtin too"


def test_codes_are_stable_and_differ() -> None:
    kinds = [leaf for leaf in leaves(errors.AifaceError) if leaf.__module__ == errors.__name__]
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_an_unavailable_device_says_why_and_what_to_do() -> None:
    error = errors.DeviceUnavailableError("cuda", "no NVIDIA driver is installed")
    assert (error.device, error.reason) == ("cuda", "no NVIDIA driver is installed")
    assert str(error).startswith("device 'cuda' cannot be had: no NVIDIA driver is installed; ")
    assert "aiface doctor" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.device, again.reason) == (error.device, error.reason)

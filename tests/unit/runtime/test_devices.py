"""What is tried for a device, and why it is passed over."""

from __future__ import annotations

import os
import subprocess
import sys

import onnxruntime
import pytest

from aiface_runtime.devices import DEVICES, PROVIDERS, Candidate, candidates, device_problem
from aiface_runtime.errors import UsageError

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def test_every_device_has_a_provider() -> None:
    assert list(DEVICES) == ["auto", *PROVIDERS]


def test_auto_ends_with_the_cpu_and_leaves_out_what_is_not_installed() -> None:
    devices = [candidate.device for candidate in candidates("auto", None)]
    assert devices == (["cuda", "cpu"] if HAS_CUDA else ["cpu"])
    assert candidates("auto", None)[-1] == Candidate(("CPUExecutionProvider",))


@pytest.mark.parametrize("device", PROVIDERS)
def test_a_named_device_is_the_only_candidate(device: str) -> None:
    (candidate,) = candidates(device, None)
    assert (candidate.device, candidate.problem) == (device, device_problem(device))
    if PROVIDERS[device] not in onnxruntime.get_available_providers():
        assert candidate.problem is not None
        assert PROVIDERS[device] in candidate.problem


def test_named_providers_are_tried_as_they_are() -> None:
    (candidate,) = candidates("auto", ["XnnpackExecutionProvider", "CPUExecutionProvider"])
    assert candidate.providers == ("XnnpackExecutionProvider", "CPUExecutionProvider")
    assert candidate.device == "XnnpackExecutionProvider"


@pytest.mark.parametrize(
    ("device", "providers", "says"),
    [
        ("gpu", None, "one of auto, cpu"),
        ("cpu", ["CPUExecutionProvider"], "not both"),
        ("auto", [], "at least one"),
        ("auto", "CPUExecutionProvider", r"^providers 'CPUExecutionProvider': a list of names"),
        ("auto", [b"CPUExecutionProvider"], "a list of names"),
        (["cpu"], None, "one of auto, cpu"),
    ],
)
def test_wrong_usage(device: str, providers: list[str] | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        candidates(device, providers)


@pytest.mark.parametrize(("setting", "expected"), [(None, "1"), ("0", "0")])
def test_telemetry_is_off_unless_the_user_says_otherwise(setting: str | None, expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    if setting is not None:
        environment["ORT_DISABLE_TELEMETRY"] = setting
    code = (
        "import os, aiface_runtime.devices as d; print(os.environ.get('ORT_DISABLE_TELEMETRY')); "
        "d.import_onnxruntime(); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == [str(setting), expected]

"""Which devices onnxruntime can run a model on here, and the import of onnxruntime itself.

Its telemetry is off before the library initialises: the one environment edit of this package.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from .errors import BackendNotInstalledError, UsageError
from .plugins import plugin_problem

Device: TypeAlias = Literal["auto", "cpu", "cuda", "tensorrt", "openvino", "coreml", "directml", "webgpu"]
DEVICES: tuple[Device, ...] = get_args(Device)

PROVIDERS: dict[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
}
_DEVICE_OF = {provider: device for device, provider in PROVIDERS.items()}
_AUTO = ("cuda", "cpu")  # best first; the others change the numbers or compile for minutes: by name only
QUIET = 4  # severity "fatal", for our sessions and runs alone: errors reach the caller as exceptions


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device to try.

    Attributes:
        providers: Names of onnxruntime providers in order of preference; the first must run.
        problem: Reason why it cannot work on this machine, known without opening a model; None when none is known.
    """

    providers: tuple[str, ...]
    problem: str | None = None

    @property
    def device(self) -> str:
        """Name of the device, or of the provider where the device has none."""
        return device_name(self.providers[0])


def device_name(provider: str) -> str:
    """Return the device that a provider stands for, or the provider's own name where there is none."""
    return _DEVICE_OF.get(provider, provider)


def candidates(device: str, providers: Sequence[str] | None) -> list[Candidate]:
    """List what to try, best first, for a device or for providers.

    Args:
        device: One of `DEVICES`; `auto` when `providers` are named.
        providers: Names of onnxruntime providers in order of preference; None for those of `device`.

    Raises:
        UsageError: An unknown device, a device and providers, or no provider.
        BackendNotInstalledError: onnxruntime cannot be imported.
    """
    if not isinstance(device, str) or device not in DEVICES:
        raise UsageError(f"device {device!r}: one of {', '.join(DEVICES)}")
    if providers is None:
        return [Candidate((PROVIDERS[name],), device_problem(name)) for name in _names(device)]
    if device != "auto":
        raise UsageError("pass device or providers, not both")
    if isinstance(providers, str) or not providers or not all(isinstance(name, str) for name in providers):
        raise UsageError(
            f"providers {providers!r}: a list of names, at least one, ['CPUExecutionProvider'] for instance"
        )
    return [Candidate(tuple(providers), _unavailable(providers[0]))]


def _names(device: str) -> list[str]:
    """List the devices that a request allows; a build of onnxruntime for the CPU alone passes nothing over."""
    if device != "auto":
        return [device]
    available = import_onnxruntime().get_available_providers()
    return [name for name in _AUTO if name == "cpu" or PROVIDERS[name] in available]


def device_problem(device: str) -> str | None:
    """Say why a device cannot work on this machine, without opening a model; None when nothing is known against it."""
    return _unavailable(PROVIDERS[device]) or (_nvidia_problem() if device in ("cuda", "tensorrt") else None)


def _unavailable(provider: str) -> str | None:
    ort = import_onnxruntime()
    return None if provider in ort.get_available_providers() else plugin_problem(ort, provider)


def _nvidia_problem() -> str | None:
    """Ask the driver whether there is a GPU: onnxruntime-gpu lists CUDA on every machine."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return "no NVIDIA driver is installed"
    count = ctypes.c_int(0)
    if (status := driver.cuInit(0)) or (status := driver.cuDeviceGetCount(ctypes.byref(count))):
        return f"the NVIDIA driver answers with error {status}"
    return None if count.value else "the NVIDIA driver finds no GPU"


def import_onnxruntime() -> Any:
    """Import onnxruntime, with telemetry off.

    Raises:
        BackendNotInstalledError: onnxruntime cannot be imported.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the library initialises, never later
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendNotInstalledError(error) from error
    if not hasattr(onnxruntime, "InferenceSession"):  # what a half-removed wheel leaves behind
        raise BackendNotInstalledError(ImportError("the package is there but empty"))
    return onnxruntime

"""onnxruntime behind one door: the only module that imports it.

What onnxruntime leaves to its callers is settled here: telemetry is off before the library initialises (the one
environment edit of this package), threads follow the container, workers sleep instead of spinning, the device is the
one that truly runs, and a session opens anew in a forked process.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from .cpu_limits import usable_cores
from .errors import (
    BackendNotInstalledError,
    DeviceUnavailableError,
    InferenceError,
    ManifestError,
    ModelCorruptError,
    NoEvidenceError,
    UsageError,
)
from .manifest import EVIDENCE, IMAGE, KEY, PROBABILITIES, Manifest, parse_manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Device: TypeAlias = Literal["auto", "cpu", "cuda", "tensorrt", "openvino", "coreml", "directml"]
DEVICES: tuple[Device, ...] = get_args(Device)

PROVIDERS: dict[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
_DEVICE_OF = {provider: device for device, provider in PROVIDERS.items()}
_AUTO = ("cuda", "cpu")  # the others change the numbers or compile for minutes: by name only
_BROKEN_FILE = ("InvalidProtobuf", "InvalidGraph", "NoSuchFile", "NoModel")  # onnxruntime's names for them
_QUIET = 4  # onnxruntime's severity "fatal": errors reach the caller as exceptions


def import_onnxruntime() -> Any:
    """onnxruntime, with telemetry off.

    Raises:
        BackendNotInstalledError: It cannot be imported.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the library initialises, never later
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendNotInstalledError(error) from error
    if not hasattr(onnxruntime, "InferenceSession"):  # what a half-removed wheel leaves behind
        raise BackendNotInstalledError(ImportError("the package is there but hollow"))
    onnxruntime.set_default_logger_severity(_QUIET)
    return onnxruntime


def device_problem(device: str) -> str | None:
    """Why a device cannot work on this machine, found without opening a model; None when nothing speaks against it."""
    if PROVIDERS[device] not in import_onnxruntime().get_available_providers():
        return f"this onnxruntime has no {PROVIDERS[device]}"
    return _nvidia_problem() if device in ("cuda", "tensorrt") else None


def _nvidia_problem() -> str | None:
    """onnxruntime-gpu lists CUDA on every machine; the driver knows whether there is a GPU."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return "no NVIDIA driver is installed"
    count = ctypes.c_int(0)
    if (status := driver.cuInit(0)) or (status := driver.cuDeviceGetCount(ctypes.byref(count))):
        return f"the NVIDIA driver answers with error {status}"
    return None if count.value else "the NVIDIA driver finds no GPU"


class Engine:
    """An open model on a device.

    Args:
        path: The `.onnx` file.
        device: `auto` takes the best that works; a name that cannot be had is an error.
        providers: onnxruntime providers in order of preference, in place of `device`; the first must run.
        threads: Cores for one run; None for what affinity and the container's quota allow.

    Attributes:
        manifest: What the file says of itself.
        device: Where it runs.
        fallback: Why `auto` passed over a better device.
        threads: As chosen.

    Raises:
        AifaceError: `BackendNotInstalledError`, `DeviceUnavailableError`, `ModelCorruptError`, `ManifestError` or
            `UsageError`.
    """

    def __init__(
        self,
        path: Path,
        device: str = "auto",
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        if device not in DEVICES:
            raise UsageError(f"device {device!r}: one of {', '.join(DEVICES)}")
        if providers is not None and device != "auto":
            raise UsageError("pass device or providers, not both")
        if providers is not None and not providers:
            raise UsageError("providers: name at least one, CPUExecutionProvider for instance")
        if threads is not None and threads < 1:
            raise UsageError(f"threads {threads}: at least 1")
        self._path = path
        self.threads = threads or usable_cores()
        self._lock = threading.Lock()
        self.fallback: str | None = None
        if providers is not None:
            self._providers = list(providers)
            self._session = self._open(self._providers)
        elif device == "auto":
            self._session = self._open_best()
        else:
            self._providers = [PROVIDERS[device]]
            if problem := device_problem(device):
                raise DeviceUnavailableError(_no_device(device, problem))
            self._session = self._open(self._providers)
        self._pid = os.getpid()
        first = self._session.get_providers()[0]
        self.device: str = _DEVICE_OF.get(first, first)
        self.manifest = self._read_manifest()
        self._one_core: Any = None
        # Without it onnxruntime computes the evidence each time and throws it away.
        self._asked_only = import_onnxruntime().RunOptions()
        self._asked_only.only_execute_path_to_fetches = True

    @property
    def parallel_runs(self) -> int:
        """Calls of `run_on_one_core` that are worth making at once."""
        return self.threads if self.device == "cpu" else 1

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities of a batch, on all `threads`.

        Args:
            batch: uint8 RGB `[N, height, width, 3]` of the manifest's input size.

        Returns:
            float32 `[N, C]` in the order of the manifest's labels.

        Raises:
            InferenceError: The device failed, for want of memory for instance.
        """
        if os.getpid() != self._pid:
            self._reopen_after_fork()
        return self._answers(self._session, batch, PROBABILITIES)[0]

    def run_with_evidence(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities of a batch as of `run`, and float32 `[N, h, w]`, what each place contributes to the log-odds.

        Raises:
            NoEvidenceError: The graph has no such output.
            InferenceError: As of `run`.
        """
        if self.manifest.evidence is None:
            raise NoEvidenceError(self.manifest.id)
        if os.getpid() != self._pid:
            self._reopen_after_fork()
        probabilities, evidence = self._answers(self._session, batch, PROBABILITIES, EVIDENCE)
        return probabilities, evidence

    def run_on_one_core(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The same for callers that share the cores out among themselves; on a device that is no CPU, the same call.

        The first call opens the model once more, with its own copy of the weights.
        """
        if os.getpid() != self._pid:
            self._reopen_after_fork()
        if self.parallel_runs == 1:
            return self._answers(self._session, batch, PROBABILITIES)[0]
        with self._lock:
            if self._one_core is None:
                self._one_core = self._open(self._providers, threads=1)
        return self._answers(self._one_core, batch, PROBABILITIES)[0]

    def _answers(self, session: Any, batch: NDArray[np.uint8], *outputs: str) -> list[NDArray[np.float32]]:
        try:
            answers: list[NDArray[np.float32]] = session.run(list(outputs), {IMAGE: batch}, self._asked_only)
        except Exception as error:
            raise InferenceError(
                f"{self._path} failed on {self.device!r} with {len(batch)} photos ({_first_line(error)}); "
                "try a smaller batch or device='cpu'"
            ) from error
        return answers

    def _reopen_after_fork(self) -> None:
        with self._lock:
            if os.getpid() == self._pid:
                return
            # The old session's threads exist in the parent only: to destroy it here would wait for them for ever.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
            self._session = self._open(self._providers)
            self._one_core = None  # without threads of its own, which may go
            self._pid = os.getpid()

    def _open_best(self) -> Any:
        reasons: list[str] = []
        for device in _AUTO:
            self._providers = [PROVIDERS[device]]
            if device == "cpu":
                self.fallback = "; ".join(reasons) or None
                return self._open(self._providers)
            if PROVIDERS[device] not in import_onnxruntime().get_available_providers():
                continue  # the CPU build is installed: nothing was passed over
            problem = device_problem(device)
            if problem is None:
                try:
                    return self._open(self._providers)
                except DeviceUnavailableError as error:
                    problem = str(error)
            reasons.append(f"{device}: {problem}")
        raise AssertionError("the CPU is always tried last")

    def _open(self, providers: Sequence[str], threads: int | None = None) -> Any:
        """Open, and hold onnxruntime to the first provider: left alone it would take the CPU without a word."""
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        device = _DEVICE_OF.get(providers[0], providers[0])
        # OpenVINO has threads of its own, of which it takes one a core of the machine unless it is told.
        settings = {PROVIDERS["openvino"]: {"num_of_threads": str(options.intra_op_num_threads)}}
        wanted = [(name, settings.get(name, {})) for name in providers]
        try:
            # Without enable_fallback=0 a failing provider prints to stdout and becomes the CPU.
            session = ort.InferenceSession(str(self._path), options, providers=wanted, enable_fallback=0)
        except Exception as error:  # onnxruntime's exceptions derive from Exception only
            if device == "cpu" or type(error).__name__ in _BROKEN_FILE:
                raise ModelCorruptError(f"{self._path}: onnxruntime cannot open it ({_first_line(error)})") from error
            raise DeviceUnavailableError(_no_device(device, _first_line(error))) from error
        if session.get_providers()[0] != providers[0]:
            raise DeviceUnavailableError(_no_device(device, "its libraries could not be loaded"))
        return session

    def _read_manifest(self) -> Manifest:
        text = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        if text is None:
            raise ManifestError(f"{self._path}: an ONNX file without aiface's manifest; make one with aiface-export")
        manifest = parse_manifest(text, str(self._path))
        taken = {value.name: (value.type, value.shape[1:]) for value in self._session.get_inputs()}
        given = {value.name: (value.type, value.shape[1:]) for value in self._session.get_outputs()}
        shape = [manifest.height, manifest.width, 3]
        if taken != {IMAGE: ("tensor(uint8)", shape)}:
            raise ManifestError(f"{self._path}: its graph does not take uint8 {['N', *shape]} as its manifest says")
        wanted = {PROBABILITIES: [len(manifest.labels)]}
        if manifest.evidence:
            wanted[EVIDENCE] = [manifest.evidence.height, manifest.evidence.width]
        for name, shape in wanted.items():
            if given.get(name) != ("tensor(float)", shape):
                raise ManifestError(f"{self._path}: its graph does not return {name}, float32 {['N', *shape]}")
        return manifest


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


def _no_device(device: str, problem: str) -> str:
    return (
        f"device {device!r} cannot be had: {problem}; run 'aiface doctor' to see what works here, or use device='auto'"
    )

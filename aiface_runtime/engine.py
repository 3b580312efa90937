"""A model file that is open in onnxruntime.

What onnxruntime leaves to its callers is done here: threads keep to the container's limit, workers sleep instead of
spinning, the device is the one that really runs and computes what the file's self-test says, every output is checked,
and a session opens anew in a forked process.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from .cpu_limits import usable_cores
from .devices import QUIET, Candidate, candidates, import_onnxruntime
from .errors import (
    DeviceUnavailableError,
    InferenceError,
    ModelCorruptError,
    NoEvidenceError,
    UsageError,
)
from .manifest import EVIDENCE, FACES, IMAGE, PROBABILITIES
from .model_file import ModelFile, read_model
from .outputs import Outputs, check_self_test, checked
from .sessions import Tensor, check_signature, first_line, open_session, tensors_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MIN_LIMIT = 64  # threads that may be asked for on any machine; more than its cores only make it slower


@dataclass(slots=True)
class _Sessions:
    """The sessions that one process has open.

    Attributes:
        pid: Id of the process.
        all_cores: onnxruntime session on all threads.
        one_core: onnxruntime session on one thread; None until it is needed.
    """

    pid: int
    all_cores: Any
    one_core: Any = None


class Engine:
    """An open model on a device.

    Args:
        model: The `.onnx` file, read already or its path.
        device: `auto` takes the best that works; a name that cannot be had is an error.
        providers: onnxruntime providers in order of preference, in place of `device`; the first must run.
        threads: Cores for one run; None for what affinity and the container's quota allow.

    Attributes:
        model: The file, whose bytes every session is opened from.
        manifest: Manifest that the file carries.
        device: Name of the device that the model runs on.
        fallback: Reason why `auto` passed over a better device; None when it did not.
        threads: Cores for one run, as chosen.

    Raises:
        AifaceError: `BackendNotInstalledError`, `DeviceUnavailableError`, `ModelCorruptError`, `ManifestError` or
            `UsageError`.
    """

    def __init__(
        self,
        model: ModelFile | Path,
        device: str = "auto",
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        self.threads = _checked_threads(threads)
        self.model = model if isinstance(model, ModelFile) else read_model(model)
        self.manifest = self.model.manifest()  # before onnxruntime sees the file
        self._shapes = self.manifest.output_shapes
        self._outputs = (PROBABILITIES, FACES) if self.manifest.faces else (PROBABILITIES,)
        options = candidates(device, providers)
        # Without it onnxruntime computes the evidence each time and throws it away.
        self._requested_only = import_onnxruntime().RunOptions()
        self._requested_only.only_execute_path_to_fetches = True
        self._requested_only.log_severity_level = QUIET
        self._lock = threading.Lock()
        session, self._candidate, self.fallback = self._open_first(options)
        self._sessions = _Sessions(os.getpid(), session)
        _ENGINES.add(self)

    @property
    def inputs(self) -> list[Tensor]:
        """What the graph takes."""
        return tensors_of(self._live.all_cores.get_inputs())

    @property
    def outputs(self) -> list[Tensor]:
        """What the graph returns, in its order."""
        return tensors_of(self._live.all_cores.get_outputs())

    @property
    def parallel_runs(self) -> int:
        """Number of calls of `run_on_one_core` to make at once."""
        return self.threads if self.device == "cpu" else 1

    def run(self, batch: NDArray[np.uint8]) -> Outputs:
        """Compute the probabilities of a batch, and its face maps where there are any, on all `threads`.

        Args:
            batch: uint8 RGB `[N, height, width, 3]` of the manifest's input size.

        Raises:
            InferenceError: The device failed, for want of memory for instance, or gave what cannot be an answer.
        """
        return Outputs(**self._run(self._live.all_cores, batch, self._outputs))

    def run_with_evidence(self, batch: NDArray[np.uint8]) -> tuple[Outputs, NDArray[np.float32]]:
        """Do what `run` does, and compute the evidence of the batch: class activation maps.

        Returns:
            What `run` gives, and float32 `[N, h, w]`, what each cell contributes to the log-odds of AI, in logits.

        Raises:
            NoEvidenceError: The graph has no such output.
            InferenceError: The device failed, or gave what cannot be an answer.
        """
        if self.manifest.evidence is None:
            raise NoEvidenceError(self.manifest.id)
        tensors = self._run(self._live.all_cores, batch, (*self._outputs, EVIDENCE))
        evidence = tensors.pop(EVIDENCE)
        return Outputs(**tensors), evidence

    def run_on_one_core(self, batch: NDArray[np.uint8]) -> Outputs:
        """Do what `run` does for callers that share the cores out among themselves; the same call where not on a CPU.

        The first call opens the model once more, with its own copy of the weights.
        """
        return Outputs(**self._run(self._one_core, batch, self._outputs))

    def run_on_one_core_with_evidence(self, batch: NDArray[np.uint8]) -> tuple[Outputs, NDArray[np.float32] | None]:
        """Do what `run_on_one_core` does, and return the evidence where the graph has it, None where not."""
        names = self._outputs if self.manifest.evidence is None else (*self._outputs, EVIDENCE)
        tensors = self._run(self._one_core, batch, names)
        evidence = tensors.pop(EVIDENCE, None)
        return Outputs(**tensors), evidence

    @property
    def _one_core(self) -> Any:
        """The session on one thread, which is opened when it is first used; on other devices the only one."""
        sessions = self._live
        if self.parallel_runs == 1:
            return sessions.all_cores
        with self._lock:
            if sessions.one_core is None:
                sessions.one_core = open_session(self.model, self._candidate, threads=1)
        return sessions.one_core

    def self_test(self) -> None:
        """Hold what is open in this process to the file's self-test once more, as when it was opened.

        Raises:
            InferenceError: The device failed, or computes something else by now.
        """
        sessions = self._live
        for session in filter(None, (sessions.all_cores, sessions.one_core)):
            try:
                self._check(session)
            except ValueError as error:
                raise InferenceError(
                    f"{self.model.name} fails its self-test on {self.device!r}: {error}; start the program again"
                ) from error

    @property
    def _live(self) -> _Sessions:
        """The sessions of this process, which are opened anew after a fork."""
        if os.getpid() != self._sessions.pid:
            with self._lock:
                if os.getpid() != self._sessions.pid:
                    self._sessions = _Sessions(os.getpid(), open_session(self.model, self._candidate, self.threads))
        return self._sessions

    def _after_fork(self) -> None:
        """Keep the parent's sessions for ever: their threads are not in the child, and their end would wait for them.

        A thread of the parent may have been inside one, or held the lock, which then stays locked here.
        """
        for session in (self._sessions.all_cores, self._sessions.one_core):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
        self._lock = threading.Lock()

    def _run(self, session: Any, batch: NDArray[np.uint8], names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        try:
            tensors = session.run(names, {IMAGE: batch}, self._requested_only)
        except Exception as error:  # onnxruntime's exceptions derive from Exception only
            raise InferenceError(
                f"{self.model.name} failed on {self.device!r} with {len(batch)} photos ({first_line(error)}); "
                "try a smaller batch or device='cpu'"
            ) from error
        try:
            return checked(dict(zip(names, tensors, strict=True)), len(batch), self._shapes)
        except ValueError as error:
            raise InferenceError(
                f"{self.model.name} gives no answer on {self.device!r}: {error}; the file or the device is broken: "
                "try device='cpu', or export the model again"
            ) from error

    def _open_first(self, options: Iterable[Candidate]) -> tuple[Any, Candidate, str | None]:
        """Open the first candidate that works, and say why those before it were passed over."""
        *preferred, last = options
        passed_over: list[str] = []
        for candidate in preferred:
            try:
                return self._open_tested(candidate), candidate, "; ".join(passed_over) or None
            except DeviceUnavailableError as error:
                passed_over.append(f"{candidate.device}: {error.reason}")
        return self._open_tested(last), last, "; ".join(passed_over) or None

    def _open_tested(self, candidate: Candidate) -> Any:
        """Open, and refuse a graph or a device that does not reproduce the file's self-test."""
        session, self.device = open_session(self.model, candidate, self.threads), candidate.device
        check_signature(session, self.manifest, self.model.name)
        try:
            self._check(session)
        except (InferenceError, ValueError) as error:
            reason = f"it fails the model's self-test: {first_line(error.__cause__ or error)}"
            if candidate.device != "cpu":
                raise DeviceUnavailableError(candidate.device, reason) from error
            raise ModelCorruptError(f"{self.model.name}: {reason}; export the model again") from error
        return session

    def _check(self, session: Any) -> None:
        """Run the self-test.

        Raises:
            InferenceError: The device failed.
            ValueError: It computes something else.
        """
        test, names = self.manifest.self_test, tuple(self._shapes)
        photos = test.photos(self.manifest.height, self.manifest.width)
        check_self_test(test, photos, lambda batch: self._run(session, batch, names))


_ENGINES: WeakSet[Engine] = WeakSet()


def _after_fork() -> None:
    for engine in _ENGINES:
        engine._after_fork()  # noqa: SLF001 of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _checked_threads(threads: int | None) -> int:
    """Return a number of threads; None stands for the cores that this process may use."""
    limit = max(_MIN_LIMIT, os.cpu_count() or 1)
    if threads is not None and (type(threads) is not int or not 1 <= threads <= limit):
        raise UsageError(f"threads {threads!r}: a whole number from 1 to {limit}, or None for the cores there are")
    return threads or usable_cores()

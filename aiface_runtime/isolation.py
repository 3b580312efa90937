"""Decode in a process of its own: a decoder that crashes, hangs or takes too much costs one photo, not the program.

A helper process is started with a clean interpreter, never by a fork, and used for one photo after the other. It has
limits for memory, processor time and open files where the system knows them, and a deadline: a watch kills it. What
comes back is JSON and pixels, never a pickle, so that a decoder that was taken over cannot run code here.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, TypeAlias

import numpy as np

from . import errors
from .errors import ImageDecodeError, ImageMemoryError, ImageTimeoutError, InputError
from .images import EncodedImage
from .limits import Limits
from .model_input import Findings, ModelInput, model_input
from .prediction import PhotoWarning
from .provenance.results import Provenance

if TYPE_CHECKING:
    from .steps import Step

_START_SECONDS = 60.0  # of a machine under load; the helper takes some 0.15 s
_SLACK = 64 * 2**20  # bytes beside Limits.memory, for what the interpreter still allocates
_LENGTHS = struct.Struct(">QQ")
_START = "import sys; sys.path[:] = sys.argv[1:]; from aiface_runtime.isolation import serve; serve()"


# Steps, smallest size and limits, as `model_input` takes them, and whether to read what the file says of itself.
_Wanted: TypeAlias = tuple[tuple["Step", ...], tuple[int, int] | None, Limits, bool]


class IsolatedDecoder:
    """Helper processes that decode, as many as threads ask at once; safe to share between threads, and after a fork.

    Args:
        limits: The most that one photo may take; its `seconds` are the deadline.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._idle: list[_Helper] = []
        self._finalizer = weakref.finalize(self, _close, self._idle)
        _DECODERS.add(self)

    def model_input(
        self, image: EncodedImage, steps: Sequence[Step], min_size: tuple[int, int] | None, *, provenance: bool = False
    ) -> ModelInput:
        """Do what `model_input` does, in a helper process.

        Raises:
            ImageTimeoutError: It took longer than `Limits.seconds`.
            InputError: The photo cannot be used.
        """
        helper = self._take(image.name)
        try:
            return helper.ask(image, (tuple(steps), min_size, self._limits, provenance))
        finally:
            if helper.is_alive:
                with self._lock:
                    self._idle.append(helper)

    def _take(self, name: str) -> _Helper:
        with self._lock:
            while self._idle:
                if (helper := self._idle.pop()).is_running():
                    return helper
                helper.kill()
        try:
            return _Helper()
        except OSError as error:
            raise InputError(f"{name}: no process to decode it could be started ({error}); try again") from error

    def close(self) -> None:
        """End the helper processes; a later call starts new ones."""
        with self._lock:
            _close(self._idle)

    def forget(self) -> None:
        """In a forked process: leave the parent's helpers alone, for two cannot talk to one."""
        self._lock = threading.Lock()
        self._idle.clear()


_DECODERS: weakref.WeakSet[IsolatedDecoder] = weakref.WeakSet()
_HELPERS: weakref.WeakSet[_Helper] = weakref.WeakSet()


def _close(helpers: list[_Helper]) -> None:
    while helpers:
        helpers.pop().kill()


def _forget_all() -> None:
    for helper in list(_HELPERS):
        helper.forget()
    for decoder in list(_DECODERS):
        decoder.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


class _Helper:
    """One helper process, which one thread talks to at a time."""

    def __init__(self) -> None:
        paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 also of what is not there
        self._process = subprocess.Popen(  # noqa: S603 this interpreter and this module
            [sys.executable, "-c", _START, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt of the terminal is for the program, which then ends this
        )
        self.is_alive = True
        assert self._process.stdin is not None  # noqa: S101 for they are pipes
        assert self._process.stdout is not None  # noqa: S101
        self._to, self._from = self._process.stdin, self._process.stdout
        with _Watch(self._process, _START_SECONDS):
            started = self._from.read(1)
        if not started:
            self.kill()
            raise OSError("it ended at once")
        _HELPERS.add(self)

    def ask(self, image: EncodedImage, wanted: _Wanted) -> ModelInput:
        """Have one photo decoded.

        Raises:
            InputError: It cannot be used, or cost the helper its life.
        """
        request, seconds = pickle.dumps((image.name, wanted)), wanted[2].seconds
        try:
            with _Watch(self._process, seconds) as watch:
                self._to.write(_LENGTHS.pack(len(request), len(image.data)) + request)
                self._to.write(image.data)
                self._to.flush()
                head, pixels = _receive(self._from)
                return _answer(json.loads(head), pixels, image.name)
        except InputError:
            raise
        except Exception as error:
            self.kill()
            raise self._cause(image.name, seconds, is_late=watch.has_killed) from error
        except BaseException:  # an interrupt: what the helper still writes belongs to no later photo
            self.kill()
            raise

    def _cause(self, name: str, seconds: float, *, is_late: bool) -> InputError:
        code = self._process.returncode
        if is_late or code == -24:  # SIGXCPU
            return ImageTimeoutError(name, seconds)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return ImageDecodeError(f"{name}: its decoder died ({how}); get the file again")

    def is_running(self) -> bool:
        """Say whether the process has not been ended by somebody else."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process."""
        self.is_alive = False
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        self._close_pipes()

    def forget(self) -> None:
        """Close this end of the pipes, and let the process live."""
        self.is_alive = False
        self._process.returncode = 0  # it is no child of this process, which has nothing to wait for
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self._to, self._from):
            with suppress(OSError):
                pipe.close()


class _Watch:
    """Kills a process that is not done in time."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.has_killed = False
        self._process = process
        self._timer = threading.Timer(seconds, self._kill)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _kill(self) -> None:
        self.has_killed = True
        self._process.kill()


def _receive(pipe: IO[bytes]) -> tuple[bytes, bytearray]:
    head = pipe.read(_LENGTHS.size)
    first, second = _LENGTHS.unpack(head)
    if first > 2**20:
        raise ValueError("not an answer")
    text = pipe.read(first)
    content = bytearray(second)
    if len(text) < first or pipe.readinto(content) < second:  # type: ignore[attr-defined]
        raise EOFError
    return text, content


def _answer(answer: object, pixels: bytearray, name: str) -> ModelInput:
    """Rebuild an answer, or raise the error that it is, with nothing but the types that are expected."""
    if not isinstance(answer, dict):
        raise TypeError("not an answer")
    if "code" in answer:
        raise _ERRORS.get(answer["code"], ImageDecodeError)(str(answer["message"]))
    height, width = int(answer["height"]), int(answer["width"])
    array = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    missing = float(answer["missing"])
    quality = None if answer["quality"] is None else int(answer["quality"])
    if not 0 <= missing <= 1 or quality not in (None, *range(1, 101)):
        raise ValueError(f"{name}: not an answer")
    warnings = tuple(PhotoWarning(warning) for warning in answer["warnings"])
    said = answer["provenance"]
    provenance = Provenance.from_record(said) if said else None
    return ModelInput(array, Findings(warnings, missing, quality, provenance))


_ERRORS = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, InputError) and "__init__" not in vars(kind)
}


def serve() -> None:
    """Decode what comes on standard input until it ends: what a helper process runs."""
    requests, replies = _private_pipes()
    replies.write(b"+")
    replies.flush()
    base = _used_memory()
    while head := requests.read(_LENGTHS.size):
        first, second = _LENGTHS.unpack(head)
        name, wanted = pickle.loads(requests.read(first))  # noqa: S301 from the program itself
        data = requests.read(second)
        _limit(wanted[2], base)
        text, pixels = _reply(EncodedImage(name, data), wanted)
        replies.write(_LENGTHS.pack(len(text), len(pixels)) + text)
        replies.write(pixels)
        replies.flush()


def _private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Move the pipes away from standard input and output, where a decoder could write to them."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return requests, replies


def _reply(image: EncodedImage, wanted: _Wanted) -> tuple[bytes, bytes]:
    try:
        steps, min_size, limits, provenance = wanted
        made = model_input(image, steps, min_size, limits, provenance=provenance)
        height, width, _ = made.pixels.shape
        answer = {"height": height, "width": width, **asdict(made.findings)}
        return json.dumps(answer).encode(), made.pixels.tobytes()
    except ImageMemoryError:
        return json.dumps({"code": ImageMemoryError.code, "message": image.name}).encode(), b""
    except MemoryError:
        return json.dumps({"code": ImageMemoryError.code, "message": image.name}).encode(), b""
    except InputError as error:
        return json.dumps({"code": error.code, "message": str(error)}).encode(), b""


def _used_memory() -> int | None:
    """Return the bytes of data that this process has mapped, None where the system does not say."""
    with suppress(OSError, ValueError), open("/proc/self/statm", "rb") as file:  # noqa: PTH123 no path of the user's
        return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    return None


def _limit(limits: Limits, base: int | None) -> None:
    """Limit memory, processor time and files of this process for the next photo."""
    try:
        import resource
    except ImportError:  # Windows: the deadline alone
        return
    if base is not None:
        _lower(resource.RLIMIT_DATA, base + limits.memory + _SLACK)
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + 4 * limits.seconds) + 1)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)


def _lower(what: int, value: int) -> None:
    """Set the soft limit, which can be raised again for the next photo."""
    import resource

    _, hard = resource.getrlimit(what)
    with suppress(ValueError, OSError):
        resource.setrlimit(what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))

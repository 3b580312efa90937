"""Several processes that share a socket and the bytes of the model file: forked once it is read and tested."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess

from prometheus_client.multiprocess import mark_process_dead

from ..errors import AifaceError
from .front import LOG

_PAUSE = 1.0  # seconds before a process that died is replaced, so that one that always dies does not take all cores
_FAILED = 3  # exit code: the model or the device cannot be had


class Workers:
    """Processes that do the same work; one that dies is replaced.

    They end when their pipe to this process does, however this one ends.

    Args:
        count: Number of processes.
        work: Function that each runs, given the descriptor that ends when it is to end.
    """

    def __init__(self, count: int, work: Callable[[int], None]) -> None:
        self._work = work
        self._context = multiprocessing.get_context("fork")
        self._reader, self._writer = os.pipe()
        self._processes = [self._start() for _ in range(count)]

    def watch(self) -> None:
        """Replace processes that die until a signal raises."""
        while True:
            wait([process.sentinel for process in self._processes])
            for index, process in enumerate(self._processes):
                if process.exitcode is not None:
                    fields = {"worker": process.pid, "exit_code": process.exitcode}
                    LOG.error("a worker died and is replaced", extra={"fields": fields})
                    _forget(process)
                    time.sleep(_PAUSE)
                    self._processes[index] = self._start()

    def stop(self, bound: socket.socket, seconds: float) -> None:
        """Have all processes answer what they have begun and end; those that take longer are ended.

        Args:
            bound: Their socket, which is closed here so that none waits to be accepted by nobody.
            seconds: Time that they have.
        """
        bound.close()
        os.close(self._writer)
        until = time.monotonic() + seconds
        for process in self._processes:
            process.join(max(0.0, until - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()

    def _start(self) -> ForkProcess:
        process = self._context.Process(target=self._child, daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads: those are onnxruntime's, and the engine leaves them behind.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        return process

    def _child(self) -> None:
        os.close(self._writer)
        try:
            self._work(self._reader)
        except AifaceError as error:
            LOG.error("the model cannot be opened", extra={"fields": {"code": error.code, "detail": str(error)}})
            sys.exit(_FAILED)


def _forget(process: ForkProcess) -> None:
    """Drop what a process counted of itself at that moment; what it counted up stays."""
    process.join()
    mark_process_dead(process.pid)

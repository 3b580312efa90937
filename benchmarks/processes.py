"""Subjects in processes of their own, which take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Self, Unpack, cast

from .measurement import Measurement, Measurements
from .messages import Action, Arguments, Failed, Opened, Reply, Request
from .subjects import SUBJECTS

# transformers would import TensorFlow wherever it is installed, which no user of PyTorch waits for.
ENVIRONMENT = os.environ | {"USE_TF": "0", "USE_FLAX": "0"}


class SubjectError(Exception):
    """A subject's process reported what went wrong."""


class SubjectProcess:
    """A process that runs one subject, `benchmarks.worker`.

    Args:
        model: Name of the model, one of `models.NAMES`.
        name: Name of one of the model's subjects.
        folder: Folder of the model.
        threads: Cores to use; 0 for the library's own default.
    """

    def __init__(self, model: str, name: str, folder: Path, threads: int) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", model, name, str(folder), str(threads)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT
        )
        self._stdin, self._stdout = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)

    def wait(self) -> None:
        """Wait until the subject is open, which its first reply says.

        Raises:
            SubjectError: The subject failed, or ended without a reply.
        """
        self._receive()

    def _receive(self) -> Any:
        line = self._stdout.readline()
        if not line:
            raise SubjectError("the process died")
        reply: Opened | Failed | Reply = json.loads(line)
        if "error" in reply:
            raise SubjectError(reply["error"])
        return reply

    def request(self, action: Action, **arguments: Unpack[Arguments]) -> Reply:
        """Have the subject do something, and return its reply with the seconds that it took.

        Raises:
            SubjectError: The subject failed.
        """
        request: Request = {"action": action, **arguments}
        try:
            print(json.dumps(request), file=self._stdin, flush=True)
        except BrokenPipeError as error:
            raise SubjectError("the process died") from error
        reply: Reply = self._receive()
        return reply

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass(frozen=True)
class Comparison:
    """A model, and the subjects that are compared on it.

    Attributes:
        model: Name of the model, one of `models.NAMES`.
        folder: Folder of the model, by `models.make`.
        names: Names of the subjects.
    """

    model: str
    folder: Path
    names: tuple[str, ...]

    @classmethod
    def of_all(cls, model: str, folder: Path) -> Self:
        """Return a comparison of every subject of a model."""
        return cls(model, folder, tuple(SUBJECTS[model]))

    def process(self, name: str, threads: int) -> SubjectProcess:
        """Start a subject's process; 0 threads for the library's own default."""
        return SubjectProcess(self.model, name, self.folder, threads)

    def turns(self, threads: int) -> Turns:
        """Open every subject."""
        return Turns({name: partial(self.process, name, threads) for name in self.names})


class Turns:
    """Open subjects that take turns; one that fails is left out from then on.

    Args:
        starts: Starts a subject's process, by the name it has in results.

    Attributes:
        failures: Measurements of the subjects that failed.
    """

    def __init__(self, starts: Mapping[str, Callable[[], SubjectProcess]]) -> None:
        self.failures: Measurements = {}
        self._open: dict[str, SubjectProcess] = {}
        self._stack = ExitStack()
        for name, start in starts.items():
            process = self._stack.enter_context(start())
            try:
                process.wait()
                self._open[name] = process
            except SubjectError as error:
                self.failures[name] = Measurement(failed=str(error))

    def once(self, action: Action, **arguments: Unpack[Arguments]) -> dict[str, Reply]:
        """Have each subject do something, one after the other, and return their replies by name."""
        replies = {}
        for name, process in list(self._open.items()):
            try:
                replies[name] = process.request(action, **arguments)
            except SubjectError as error:
                self.failures[name] = Measurement(failed=str(error))
                del self._open[name]
        return replies

    def repeat(self, rounds: int, action: Action, **arguments: Unpack[Arguments]) -> dict[str, list[Reply]]:
        """Have each subject do something once to warm up and then once a round.

        Returns:
            A reply a round, by name; without the subjects that failed in any of them.
        """
        self.once(action, **arguments)
        turns = [self.once(action, **arguments) for _ in range(rounds)]
        return {name: [turn[name] for turn in turns] for name in self._open}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

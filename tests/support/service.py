"""`aiface serve` as a process of its own, on a free port of this machine, and what its log says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Self

import httpx

SECONDS = 60.0  # for anything that a service does, on a machine with other work


class Service:
    """A running service; ended with its `with`.

    Attributes:
        url: Address.
        port: Port.
        log: Objects that it has written to stderr.
    """

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-P", "-m", "aiface_runtime", "serve", "--port", "0", *arguments]
        self.log: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = str(self.wait_for("listening")["url"])
        self.port = int(self.url.rpartition(":")[2])

    def __enter__(self) -> Self:
        until = time.monotonic() + SECONDS
        while self.get("/readyz").status_code != 200:
            assert time.monotonic() < until, self.log
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self._reader.join(SECONDS)
            for pipe in (self.process.stdout, self.process.stderr):
                assert pipe is not None
                pipe.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def wait_for(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for an object of the log."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            for entry in list(self.log):
                if entry["event"] == event and fields.items() <= entry.items():
                    return entry
            assert self.process.poll() is None, self.log
            time.sleep(0.01)
        raise AssertionError(f"no {event} {fields} in {self.log}")

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, timeout=SECONDS, trust_env=False, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str = "/v1/predict", **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    def metric(self, name: str) -> float:
        """Return the value of a sample by its name with its labels, 0 where there is none."""
        lines = self.get("/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), 0.0)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), SECONDS)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.log.append({"event": line.rstrip("\n")})


def received(connection: socket.socket) -> bytes:
    """Receive until the other end closes the connection."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data

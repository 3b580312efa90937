"""What the service was started with, checked before anything is opened."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from typing import Any

from ..arguments import check_count
from ..cpu_limits import usable_cores
from ..errors import UsageError

TOKEN_VARIABLE = "AIFACE_TOKEN"  # noqa: S105 the name of a variable
_TOKEN = re.compile("[!-~]+")  # what a header can carry, without spaces
_MAX_SECONDS = 3600.0
_HELD_REQUESTS = 8  # bodies of the largest size that are held at once; smaller ones may be more


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the service listens, and the most that it takes on; each process has these limits for itself.

    Attributes:
        host: Name or address to listen on.
        port: TCP port; 0 for any that is free.
        workers: Number of processes.
        max_batch: Photos that are decoded and judged together, at most.
        max_wait: Seconds that a photo waits for others to share its batch.
        max_queue: Photos that are being received, waiting or judged; more are refused.
        max_photos: Photos of one request.
        max_request_bytes: Bytes of one request's body.
        seconds: Time for one request, from its headers to its answer.
        drain: Seconds to go on accepting connections after a signal to stop, so that a load balancer notices.
        token: Bearer token that requests must carry; None for no token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    max_batch: int = 8
    max_wait: float = 0.002
    max_queue: int = 64
    max_photos: int = 16
    max_request_bytes: int = 32 * 2**20
    seconds: float = 30.0
    drain: float = 0.0
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_count("--port", self.port + 1, 65_536)
        for name, most in (("workers", 256), ("max_batch", 1024), ("max_queue", 100_000), ("max_request_bytes", 2**31)):
            check_count(f"--{name.replace('_', '-')}", getattr(self, name), most)
        check_count("--max-photos", self.max_photos, self.max_queue)
        for name, low in (("max_wait", 0.0), ("seconds", 0.001), ("drain", 0.0)):
            if not low <= getattr(self, name) <= _MAX_SECONDS:
                raise UsageError(f"--{name.replace('_', '-')}: from {low:g} to {_MAX_SECONDS:g} seconds")
        if self.workers > 1 and not hasattr(os, "fork"):
            raise UsageError("--workers: this system cannot fork; start several services on ports of their own")

    @property
    def max_held_bytes(self) -> int:
        """Bytes of bodies that one process holds at once."""
        return _HELD_REQUESTS * self.max_request_bytes

    @property
    def threads(self) -> int:
        """Cores that each process uses unless told otherwise."""
        return max(1, usable_cores() // self.workers)


def token_of(environment: dict[str, str] | os._Environ[str]) -> str | None:
    """Read the token from the environment; None where there is none.

    Raises:
        UsageError: It cannot stand in a header.
    """
    token = environment.get(TOKEN_VARIABLE)
    if token and not _TOKEN.fullmatch(token):
        raise UsageError(f"{TOKEN_VARIABLE}: holds a space or a character beyond ASCII; make one of letters and digits")
    return token or None


def check_reach(address: Any, token: str | None) -> None:
    """Refuse to listen beyond this machine without a token.

    Args:
        address: Address that a socket is bound to, as `getsockname` gives it.
        token: Token that requests must carry.

    Raises:
        UsageError: Other machines could send photos, and nothing would ask them for a token.
    """
    bound = ipaddress.ip_address(address[0].partition("%")[0])
    mapped = getattr(bound, "ipv4_mapped", None)
    if not (mapped or bound).is_loopback and token is None:
        raise UsageError(
            f"{address[0]} can be reached from other machines: set {TOKEN_VARIABLE} to the bearer token that they must "
            "send, or listen on 127.0.0.1"
        )

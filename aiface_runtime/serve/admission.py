"""How much a process takes on at once: photos and bytes of bodies, counted before a body is read."""

from __future__ import annotations

from collections.abc import Callable

from .problems import QUEUE_FULL, Problem, busy
from .settings import Settings


class Admission:
    """Counts what has been let in and not yet answered; used by one event loop.

    Args:
        settings: Limits.
        changed: Told the number of photos whenever it changes.

    Attributes:
        photos: Number of photos that are being received, waiting or judged.
    """

    def __init__(self, settings: Settings, changed: Callable[[int], None]) -> None:
        self._settings, self._changed = settings, changed
        self.photos = 0
        self._bytes = 0

    def enter(self, size: int, retry_after: int) -> Ticket:
        """Let a request in, as one photo until it is known how many there are.

        Args:
            size: Bytes of its body, the most that they can be where that is not known.
            retry_after: Seconds after which to try again where there is no more.

        Raises:
            Problem: There are as many photos, or bytes, as may be.
        """
        if self._bytes + size > max(self._settings.max_held_bytes, size):
            raise busy(
                "too_many_bytes", "the requests that are being answered hold as much as may be held", retry_after
            )
        self._take(1, retry_after)
        self._bytes += size
        return Ticket(self, size)

    def full(self, retry_after: int, photos: int = 1) -> Problem | None:
        """Refuse photos that would be more than may be; None where they would not."""
        if self.photos + photos <= self._settings.max_queue:
            return None
        return busy(QUEUE_FULL, f"{self.photos} photos are waiting or being judged already", retry_after)

    def _take(self, photos: int, retry_after: int) -> None:
        if problem := self.full(retry_after, photos):
            raise problem
        self.photos += photos
        self._changed(self.photos)

    def _leave(self, photos: int, size: int) -> None:
        self.photos -= photos
        self._bytes -= size
        self._changed(self.photos)


class Ticket:
    """What one request has been counted as, until the end of its `with`."""

    def __init__(self, admission: Admission, size: int) -> None:
        self._admission, self._size, self._photos = admission, size, 1

    def holds(self, photos: int, retry_after: int) -> None:
        """Count the photos that a body turned out to have.

        Raises:
            Problem: With these there would be more than may be.
        """
        self._admission._take(photos - self._photos, retry_after)  # noqa: SLF001 of this module
        self._photos = photos

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, *_: object) -> None:
        self._admission._leave(self._photos, self._size)  # noqa: SLF001 of this module

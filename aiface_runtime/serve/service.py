"""What one process knows and does: its phase, its model, the queue in front of it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..errors import AifaceError
from ..images import EncodedImage
from .admission import Admission
from .batcher import Batcher
from .metrics import Metrics
from .problems import Problem, busy
from .settings import Settings

if TYPE_CHECKING:
    from ..classifier import Classifier
    from .batcher import Answer

_SELF_TEST_AGE = 30.0  # seconds for which the result of a self-test stands
_LAST_BATCH = 10.0  # seconds that the end of the process waits for it


class Phase(StrEnum):
    """What a process is doing."""

    LOADING = "loading"
    READY = "ready"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class _SelfTest:
    """When the self-test was run last, by the monotonic clock, and what failed then."""

    at: float
    error: str | None


class Service:
    """The model of one process and the photos that wait for it; used by one event loop.

    Args:
        settings: Limits.
        open_model: Opens the model, or returns it where it is open; run in a thread.
        operating_point: Name of the thresholds of its verdicts.

    Attributes:
        settings: Limits.
        phase: State of the process.
        metrics: Counters for Prometheus.
        admission: Counts of what it has taken on.
        failure: Error that opening the model ended in; None as long as there is none.
        opened: Set once the model is open, or cannot be opened.
    """

    def __init__(self, settings: Settings, open_model: Callable[[], Classifier], operating_point: str) -> None:
        self.settings, self._open_model, self._point = settings, open_model, operating_point
        self.phase = Phase.LOADING
        self.metrics = Metrics()
        self.admission = Admission(settings, self.metrics.queue.set)
        self.failure: Exception | None = None
        self.opened = asyncio.Event()
        self._batcher = Batcher(self._judge, settings.max_batch, settings.max_wait, self.metrics.batch)
        self._classifier: Classifier | None = None
        self._description: dict[str, Any] = {}
        self._tested = _SelfTest(0.0, None)
        self._testing = asyncio.Lock()

    async def run(self) -> None:
        """Open the model, then answer until cancelled; an error of opening it stands in `failure` afterwards."""
        try:
            await asyncio.to_thread(self._load)
        except Exception as error:  # noqa: BLE001 raised again by who started the service
            self.failure = error
            return
        finally:
            self.opened.set()
        if self.phase is Phase.LOADING:
            self.phase = Phase.READY
        await self._batcher.run()

    def _load(self) -> None:
        import numpy as np

        classifier = self._open_model()
        # The first photo would otherwise wait for the session of batches; a forked process opens all of its own anew.
        list(classifier.predict_many([np.zeros((64, 64, 3), np.uint8)]))
        classifier.self_test()
        self._tested = _SelfTest(time.monotonic(), None)
        self._description = describe_model(classifier, self._point, self.settings)
        self.metrics.model(classifier.manifest.id, self._description["sha256"], classifier.device)
        self._classifier = classifier

    def not_now(self) -> Problem | None:
        """Say why no photo is taken on: the model is not open yet, the process is to end, or it is full."""
        if self.phase is Phase.LOADING:
            return busy("loading", "the model is being opened", 1)
        if self.phase is Phase.STOPPING:
            return busy("stopping", "the service is being stopped", 1)
        return self.admission.full(self.retry_after)

    @property
    def retry_after(self) -> int:
        """Whole seconds until the photos that were let in are answered, as estimated."""
        return self._batcher.retry_after(self.admission.photos)

    def submit(self, photos: Sequence[EncodedImage]) -> list[asyncio.Future[Answer]]:
        """Put photos into the queue."""
        return self._batcher.submit(photos)

    def model(self) -> dict[str, Any]:
        """Describe the model.

        Raises:
            Problem: It is not open yet.
        """
        if self._classifier is None:
            raise busy("loading", "the model is being opened", 1)
        return self._description

    async def health(self) -> dict[str, Any]:
        """Say what the process is doing and on which device, with a self-test that is at most half a minute old."""
        if self._classifier is None:
            return {"status": "loading", "phase": self.phase.value, "model": None, "device": None, "fallback": None,
                    "self_test": None}  # fmt: skip
        async with self._testing:
            if time.monotonic() - self._tested.at > _SELF_TEST_AGE:
                self._tested = await asyncio.to_thread(self._test, self._classifier)
        tested = self._tested
        return {
            "status": "failing" if tested.error else "ok",
            "phase": self.phase.value,
            "model": self._classifier.manifest.id,
            "device": self._classifier.device,
            "fallback": self._classifier.fallback,
            "self_test": {
                "passed": tested.error is None,
                "error": tested.error,
                "age_seconds": round(time.monotonic() - tested.at, 3),
            },
        }

    async def close(self) -> bool:
        """End with the batch that is being judged; False where that does not end."""
        ended = await self._batcher.close(_LAST_BATCH)
        if ended and self._classifier is not None:
            self._classifier.close()
        return ended

    def _test(self, classifier: Classifier) -> _SelfTest:
        try:
            classifier.self_test()
        except AifaceError as error:
            return _SelfTest(time.monotonic(), str(error))
        return _SelfTest(time.monotonic(), None)

    def _judge(self, photos: Sequence[EncodedImage]) -> list[Answer]:
        assert self._classifier is not None  # noqa: S101 photos are let in once it is open
        try:
            return list(self._classifier.predict_many(photos, batch_size=len(photos)))
        except Exception:
            self._tested = _SelfTest(-math.inf, self._tested.error)  # before this, so that it says nothing any more
            raise


def describe_model(classifier: Classifier, operating_point: str, settings: Settings) -> dict[str, Any]:
    """Return what `GET /v1/model` answers: the manifest in short, where it runs, and the limits of requests."""
    manifest = classifier.manifest
    return {
        "model": manifest.id,
        "name": manifest.name,
        "version": manifest.version,
        "sha256": classifier.sha256,
        "labels": list(manifest.labels),
        "ai_labels": list(manifest.ai_labels),
        "input": {"height": manifest.height, "width": manifest.width},
        "operating_point": operating_point,
        "operating_points": {
            name: {"real_below": point.real_below, "ai_from": point.ai_from}
            for name, point in manifest.operating_points.items()
        },
        "has_face_map": manifest.faces is not None,
        "device": classifier.device,
        "fallback": classifier.fallback,
        "threads": classifier.threads,
        "limits": {
            "request_bytes": settings.max_request_bytes,
            "photos": settings.max_photos,
            "seconds": settings.seconds,
            "batch": settings.max_batch,
            "queue": settings.max_queue,
        },
    }
